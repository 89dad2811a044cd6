"""All metrics of a process in one registry, and their rendering off the event loop.

Rendering 200 histogram children takes some 24 ms, so it happens in a worker thread. Label sets are bounded: models
that clients name freely (`provider/model`) share the label `other` once there are `MAX_UPSTREAM_LABELS`.
"""

from collections.abc import Callable

import anyio.to_thread
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from streamroute import __version__
from streamroute.core.observation import (
    AttemptObservation,
    Observation,
    ProbeObservation,
    QualityObservation,
    RefusalObservation,
    RequestObservation,
)
from streamroute.telemetry.metrics.attempts import AttemptMetrics
from streamroute.telemetry.metrics.extra_calls import ExtraCallMetrics
from streamroute.telemetry.metrics.quality import QualityMetrics
from streamroute.telemetry.metrics.requests import RequestMetrics
from streamroute.telemetry.metrics.upstreams import Snapshot, UpstreamGauges


class Metrics:
    """A listener for the bus."""

    def __init__(self, *, snapshot: Callable[[], Snapshot] = Snapshot) -> None:
        """`snapshot` says how upstreams stand; it is asked on the event loop, at each scrape."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a start time for every child would nearly double the lines
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Info("streamroute_build", "The running version.", registry=self.registry).info({"version": __version__})
        self._attempts = AttemptMetrics(self.registry)
        self._requests = RequestMetrics(self.registry)
        self._extra_calls = ExtraCallMetrics(self.registry)
        self._quality = QualityMetrics(self.registry)
        self._gauges = UpstreamGauges(snapshot)
        self.registry.register(self._gauges)

    def __call__(self, observation: Observation) -> None:
        """Count an observation."""
        match observation:
            case AttemptObservation():
                self._attempts.observe(observation)
                self._extra_calls.observe(observation)
            case RequestObservation():
                self._requests.observe(observation)
            case RefusalObservation():
                self._requests.refused(observation)
            case QualityObservation():
                self._quality.observe(observation)
            case ProbeObservation():
                self._extra_calls.probed(observation)

    async def render(self) -> tuple[bytes, str]:
        """Return the exposition and its content type."""
        self._gauges.take()
        return await anyio.to_thread.run_sync(generate_latest, self.registry), CONTENT_TYPE_LATEST
