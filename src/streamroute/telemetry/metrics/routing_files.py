"""How what routing writes to disk fares."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamroute.core.routing.file_figures import RoutingFileFigures


def routing_file_families(figures: RoutingFileFigures) -> Iterable[Metric]:
    """Return the figures as metrics."""
    lines = CounterMetricFamily(
        "streamroute_routing_log_lines", "Lines of the routing log, by what became of them.", labels=("fate",)
    )
    lines.add_metric(("written",), figures.log_written)
    lines.add_metric(("dropped",), figures.log_dropped)
    yield lines
    yield GaugeMetricFamily(
        "streamroute_routing_state_trouble",
        "1 while what was learned cannot be saved.",
        value=bool(figures.state_trouble),
    )
