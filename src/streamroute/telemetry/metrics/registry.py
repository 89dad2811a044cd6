"""All metrics of a process in one registry, and their rendering off the event loop.

Rendering 200 histogram children takes some 24 ms, so it happens in a worker thread. Label sets are bounded: models
that clients name freely (`provider/model`) share the label `other` once there are `MAX_UPSTREAM_LABELS`.
"""

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
from streamroute.core.observation import AttemptObservation, Observation, RefusalObservation, RequestObservation
from streamroute.telemetry.metrics.attempts import AttemptMetrics
from streamroute.telemetry.metrics.requests import RequestMetrics


class Metrics:
    """A listener for the bus."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a start time for every child would nearly double the lines
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Info("streamroute_build", "The running version.", registry=self.registry).info({"version": __version__})
        self._attempts = AttemptMetrics(self.registry)
        self._requests = RequestMetrics(self.registry)

    def __call__(self, observation: Observation) -> None:
        """Count an observation."""
        match observation:
            case AttemptObservation():
                self._attempts.observe(observation)
            case RequestObservation():
                self._requests.observe(observation)
            case RefusalObservation():
                self._requests.refused(observation)

    async def render(self) -> tuple[bytes, str]:
        """Return the exposition and its content type."""
        return await anyio.to_thread.run_sync(generate_latest, self.registry), CONTENT_TYPE_LATEST
