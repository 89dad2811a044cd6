"""The budgets in `/status` and `GET /admin/budgets`; amounts are US dollars, exact, as texts.

    scope, name    only these
    most           so many at most, the most used ones first; 200 by default

`/status` shows budgets that are somebody's in particular, or everybody's: users' names are without number.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio.to_thread
from aiohttp import web

from streamroute.clock import wall_iso
from streamroute.core.caller import Caller
from streamroute.core.cost.budget import SpendFigures
from streamroute.core.cost.budget_line import SCOPES
from streamroute.core.money import usd_text
from streamroute.engine.spending import Spending, now_ms
from streamroute.errors import RequestError
from streamroute.server.auth import require_admin
from streamroute.server.replies import json_reply

if TYPE_CHECKING:
    from streamroute.server.site import Site

BUDGETS_SHOWN = 200
MAX_SHOWN = 10_000
WARNING = "x-streamroute-budget-warning"
_PARTS = {"scope", "name", "most"}


def budget_status(site: "Site") -> dict[str, object]:
    """Return how every budget stands that has a name, and global ones."""
    spending = site.dispatcher.spending
    figures = sorted(
        spending.budgets.named(now_ms()),
        key=lambda each: -(each.spent + each.reserved) / max(1, each.subject.line.limit),
    )
    return _document(spending, figures[:BUDGETS_SHOWN])


async def budgets_reply(
    spending: Spending, request: web.BaseRequest, caller: Caller, headers: dict[str, str]
) -> web.Response:
    """Return how budgets stand of which anything was asked; raises RequestError."""
    require_admin(caller)
    given = request.query
    for part in given:
        if part not in _PARTS:
            raise RequestError(f"There is no {part[:100]!r} here.", param=part[:100], code="unknown_parameter")
    scope = next((each for each in SCOPES if each == given.get("scope")), None)
    if scope is None and "scope" in given:
        raise RequestError(f"The scope is one of {', '.join(SCOPES)}.", param="scope", code="invalid_value")
    most = given.get("most", str(BUDGETS_SHOWN))
    if not most.isdecimal() or len(most) > len(str(MAX_SHOWN)) or not 1 <= int(most) <= MAX_SHOWN:
        raise RequestError(f"`most` is a number from 1 to {MAX_SHOWN}.", param="most", code="invalid_value")

    def look() -> dict[str, object]:
        figures = spending.budgets.figures(now_ms(), most=int(most), scope=scope, name=given.get("name"))
        return _document(spending, figures)

    document = await anyio.to_thread.run_sync(look)
    return json_reply(document, headers={**headers, "Cache-Control": "no-store"})


def warning_headers(figures: Sequence[SpendFigures]) -> dict[str, str]:
    """Tell a client which soft limits are reached; nothing where none is."""
    if not figures:
        return {}
    return {WARNING: ", ".join(_warning(each) for each in figures)}


def _warning(figures: SpendFigures) -> str:
    line, name = figures.subject.line, figures.subject.name
    whose = line.scope if name is None else f"{line.scope}={quote(name)}"
    return (
        f"{whose}; spent_usd={usd_text(figures.spent)}; limit_usd={usd_text(line.limit)}; window={line.window}; "
        f"resets_at={_resets_at(figures) or 'never'}"
    )


def _document(spending: Spending, figures: Sequence[SpendFigures]) -> dict[str, object]:
    return {
        "lines": len(spending.budgets.lines),
        "is_spend_known": not spending.budgets.unknown,
        "trouble": spending.trouble,
        "refused_calls": spending.refused,
        "used": [_one(each) for each in figures],
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
        "warn_at_usd": None if line.warn_at is None else usd_text(line.warn_at),
        "is_soft_limit_reached": figures.is_soft_limit_reached,
        "resets_at": _resets_at(figures),
    }


def _resets_at(figures: SpendFigures) -> str | None:
    return None if figures.resets_at_ms is None else wall_iso(figures.resets_at_ms / 1000)
