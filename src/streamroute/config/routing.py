"""`[routing]` -> `RoutingOptions`."""

from streamroute.config.draft import Draft
from streamroute.config.routing_schema import RoutingTable
from streamroute.config.rules import build_rules
from streamroute.config.validate import validate
from streamroute.core.routing.options import RoutingOptions


def build_routing(draft: Draft) -> RoutingOptions:
    """Return how upstreams are matched to requests; problems are reported to `draft`."""
    given = draft.tree.get("routing", {})
    tree: object = given
    if isinstance(given, dict):  # the lists are validated item by item, so that one mistake hides no other
        tree = {key: value for key, value in given.items() if key not in {"rules", "bidders"}}
    table = validate(draft, RoutingTable, ("routing",), tree) or RoutingTable()
    value = table.answer_value_usd
    return RoutingOptions(
        mode=table.mode,
        auto=tuple(table.auto),
        answer_value_usd={"quality": value.quality, "balanced": value.balanced, "economy": value.economy},
        rules=build_rules(draft, given.get("rules", []) if isinstance(given, dict) else []),
    )
