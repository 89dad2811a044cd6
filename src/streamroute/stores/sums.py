"""How attempts and requests are added up, in SQL: for reports, and for the rollups of a ledger that had none."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, false, func, literal

from streamroute.core.cost.fate import fate_of
from streamroute.stores.schema import ATTEMPTS, SUMS

DAY_MS = 86_400_000
HALF = 10**6
"""See `stores.schema.SUMS`."""

Row = Mapping[str, Any]


def sums_over(table: Table) -> list[ColumnElement[Any]]:
    """Return the expressions of `SUMS` over attempts or requests, labelled."""
    found: dict[str, ColumnElement[Any]] = {"requests": func.count()}
    if table is ATTEMPTS:
        cost = ATTEMPTS.c.cost
        found = {
            "attempts": func.count(),
            **{name: func.sum(ATTEMPTS.c[name]) for name in SUMS if name in ATTEMPTS.c},
            "cost_high": func.coalesce(func.sum(cost // HALF), 0),
            "cost_low": func.coalesce(func.sum(cost % HALF), 0),
            "unpriced_attempts": func.count() - func.count(cost),
        }
    return [found.get(name, literal(0)).label(name) for name in SUMS]


def fate_columns() -> list[ColumnElement[Any]]:
    """Return what the fate of an attempt is found from, beside its cause."""
    return [
        ATTEMPTS.c.outcome,
        ATTEMPTS.c.cancel_reason,
        ATTEMPTS.c.route.is_not(None).label("is_asked"),
        ATTEMPTS.c.ttft_s.is_not(None).label("has_begun"),
        func.coalesce(ATTEMPTS.c.is_rejected, false()).label("is_rejected"),
    ]


def fate_of_row(row: Row) -> str:
    """Return the fate of an attempt: of a whole row, or of one that has `fate_columns`."""
    return fate_of(
        is_asked=bool(row["is_asked"]) if "is_asked" in row else row["route"] is not None,
        cause=row["cause"],
        outcome=row["outcome"],
        cancel_reason=row["cancel_reason"],
        has_begun=bool(row["has_begun"]) if "has_begun" in row else row["ttft_s"] is not None,
        is_rejected=bool(row["is_rejected"]),
    )
