"""How upstreams stand, read when somebody asks: gauges need no bookkeeping between two scrapes.

The figures are taken on the event loop, where they live, before the exposition is rendered in another thread.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamroute.core.health.standing import BreakerState, Standing
from streamroute.core.upstream import Upstream

_STATES: tuple[BreakerState, ...] = get_args(BreakerState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the gauges show, taken at one moment."""

    upstreams: Sequence[tuple[Upstream, Standing]] = ()
    """Configured ones: their number bounds the labels."""
    event_loop_lag_s: float = 0.0


class UpstreamGauges(Collector):
    """A collector of Prometheus' client; hand `take` to whoever renders."""

    def __init__(self, source: Callable[[], Snapshot]) -> None:
        self._source = source
        self._snapshot = Snapshot()

    def take(self) -> None:
        """Read the figures; call it on the event loop."""
        self._snapshot = self._source()

    def collect(self) -> Iterable[Metric]:
        """Return the gauges as they were taken."""
        state = GaugeMetricFamily(
            "streamroute_upstream_state",
            "1 for the state that the upstream's breaker is in, 0 for the others.",
            labels=("provider", "upstream", "state"),
        )
        risk = GaugeMetricFamily(
            "streamroute_upstream_risk",
            "From 0 (well) to 1 (steered away from entirely).",
            labels=("provider", "upstream"),
        )
        for upstream, standing in self._snapshot.upstreams:
            who = (upstream.provider, upstream.id)
            for name in _STATES:
                state.add_metric((*who, name), float(standing.breaker == name))
            risk.add_metric(who, standing.risk)
        yield state
        yield risk
        yield GaugeMetricFamily(
            "streamroute_event_loop_lag_seconds",
            "How late this process's event loop was at the last look.",
            value=self._snapshot.event_loop_lag_s,
        )
