"""`[routing]` -> `RoutingOptions`."""

from streamroute.config.routing_schema import RoutingTable
from streamroute.core.routing.options import RoutingOptions


def build_routing(table: RoutingTable) -> RoutingOptions:
    """Return how upstreams are matched to requests."""
    value = table.answer_value_usd
    return RoutingOptions(
        mode=table.mode,
        auto=tuple(table.auto),
        answer_value_usd={"quality": value.quality, "balanced": value.balanced, "economy": value.economy},
    )
