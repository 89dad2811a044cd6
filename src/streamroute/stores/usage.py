"""Sums over the ledger. By whatever they are grouped, they add up to the same.

A request belongs to whoever answered it, to none where nobody did; an attempt to whoever was called. Attempts of active
probes belong to no request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Table, case, func, select

from streamroute.core.money import NOTHING, Money
from streamroute.errors import StoreError
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.migrate import HEAD, version
from streamroute.stores.schema import ATTEMPTS, REQUESTS

Grouping = Literal["task", "user", "team", "key", "provider", "upstream", "route", "model", "day"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
DAY_MS = 86_400_000
_HALF = 10**6
"""Costs are added up in two halves: the sum of whole picodollars leaves SQLite's 64 bits at nine million dollars."""

GroupKey = tuple[str | int | None, ...]


@dataclass(slots=True, kw_only=True)
class UsageRow:
    """One group."""

    by: GroupKey
    """One value for each grouping that was asked for; a day is the number of days since the Unix epoch."""
    requests: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Money = NOTHING
    """Of the attempts whose price is known."""
    unpriced_attempts: int = 0


def read_usage(url: str, by: Sequence[Grouping], since_ms: int = 0) -> list[UsageRow]:
    """Return the sums of what ended since `since_ms`, the dearest first; raises StoreError."""
    engine = open_engine(url, is_reader=True)
    try:
        with transaction(engine) as connection:
            if version(connection) != HEAD:
                raise StoreError("there is no ledger of this version yet; `streamroute serve` makes it")
            return _sums(connection, by, since_ms)
    finally:
        engine.dispose()


def _sums(connection: Connection, by: Sequence[Grouping], since_ms: int) -> list[UsageRow]:
    rows: dict[GroupKey, UsageRow] = {}
    cost = ATTEMPTS.c.cost
    attempts: list[ColumnElement[Any]] = [
        func.count(),
        func.sum(ATTEMPTS.c.input_tokens),
        func.sum(ATTEMPTS.c.output_tokens),
        func.coalesce(func.sum(cost // _HALF), 0),
        func.coalesce(func.sum(cost % _HALF), 0),
        func.sum(case((cost.is_(None), 1), else_=0)),
    ]
    for key, values in _grouped(connection, ATTEMPTS, by, since_ms, attempts):
        count, input_tokens, output_tokens, millions, rest, unpriced = map(int, values)
        rows[key] = UsageRow(
            by=key,
            attempts=count,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost=Money(millions * _HALF + rest),
            unpriced_attempts=unpriced,
        )
    for key, (count,) in _grouped(connection, REQUESTS, by, since_ms, [func.count()]):
        rows.setdefault(key, UsageRow(by=key)).requests = int(count)
    return sorted(rows.values(), key=lambda row: (-row.cost, [str(each) for each in row.by]))


def _grouped(
    connection: Connection, table: Table, by: Sequence[Grouping], since_ms: int, sums: Sequence[ColumnElement[Any]]
) -> list[tuple[GroupKey, Sequence[Any]]]:
    keys = [table.c.ended_at_ms // DAY_MS if each == "day" else table.c[each] for each in by]
    labelled = [key.label(f"by_{i}") for i, key in enumerate(keys)]
    query = select(*labelled, *sums).where(table.c.ended_at_ms >= since_ms).group_by(*labelled)
    found = [tuple(row) for row in connection.execute(query)]
    # Without a grouping there is one row, also where nothing was found: then all its sums are null.
    return [(row[: len(keys)], row[len(keys) :]) for row in found if row[len(keys)]]
