"""The budgets in `/status`: those that were used most come first."""

from typing import TYPE_CHECKING

from streamroute.clock import wall_iso
from streamroute.core.cost.budget import SpendFigures
from streamroute.core.money import usd_text

if TYPE_CHECKING:
    from streamroute.server.site import Site

BUDGETS_SHOWN = 200


def budget_status(site: "Site") -> dict[str, object]:
    """Return how every budget stands that anything was asked of; amounts are US dollars, exact, as texts."""
    spending = site.dispatcher.spending
    figures = sorted(
        spending.figures(), key=lambda each: -(each.spent + each.reserved) / max(1, each.subject.line.limit)
    )
    return {
        "lines": len(spending.budgets.lines),
        "is_spend_known": not spending.budgets.unknown,
        "refused_calls": spending.refused,
        "used": [_one(each) for each in figures[:BUDGETS_SHOWN]],
    }


def _one(figures: SpendFigures) -> dict[str, object]:
    line = figures.subject.line
    return {
        "scope": line.scope,
        "name": figures.subject.name,
        "window": line.window,
        "limit_usd": usd_text(line.limit),
        "spent_usd": usd_text(figures.spent),
        "reserved_usd": usd_text(figures.reserved),
        "remaining_usd": usd_text(max(0, line.limit - figures.spent - figures.reserved)),
        "is_soft_limit_reached": figures.is_soft_limit_reached,
        "resets_at": None if figures.resets_at_ms is None else wall_iso(figures.resets_at_ms / 1000),
    }
