"""Reads the ledger's sums for reports: whole days from the rollups, the rest from the attempts and requests themselves.

Rules of the file:

1. A day that is asked for in part is read one by one. Where only its sums are left it is taken whole.
2. A day whose rollup had to give up names (see `stores.rollup`) is read one by one where these names are asked for, as
   long as it can be.
3. All is read in one transaction, of one state of the database.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, false, func, literal, or_, select

from streamroute.core.cost.report import Grouping, GroupKey, Line, Sums, UsageQuery, UsageRow, month_of, usage_rows
from streamroute.core.money import Money
from streamroute.errors import StoreError
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.migrate import HEAD, version
from streamroute.stores.rollup import MADE_UP, NAMED
from streamroute.stores.schema import ATTEMPTS, LEDGER_STATE, REQUESTS, ROLLUPS, SUMS
from streamroute.stores.sums import DAY_MS, HALF, fate_columns, fate_of_row, sums_over

_GIVEN_UP = {*MADE_UP, *NAMED}
_COLUMN = {"service_tier": "tier"}
"""Where a grouping has another name in the ledger, whose other tiers are `route_tier`."""
_PLAIN = SUMS[:7]
"""Sums that a report has under the same name."""


def read_usage(
    url: str,
    by: Sequence[Grouping],
    since_ms: int = 0,
    until_ms: int | None = None,
    only: Mapping[Grouping, tuple[str | None, ...]] | None = None,
) -> list[UsageRow]:
    """Return plain sums, the dearest group first; raises StoreError."""
    return usage_rows(read_lines(url, UsageQuery(by=tuple(by), since_ms=since_ms, until_ms=until_ms, only=only or {})))


def read_lines(url: str, query: UsageQuery, *, timeout_s: float | None = None) -> list[Line]:
    """Return what a report is made of; by day and fate where `query` needs them. Raises StoreError, also after
    `timeout_s`."""
    engine = open_engine(url, is_reader=True, timeout_s=timeout_s)
    try:
        with transaction(engine) as connection:
            if version(connection) != HEAD:
                raise StoreError("there is no ledger of this version yet; `streamroute serve` makes it")
            return list(_Reading(connection, query).lines())
    finally:
        engine.dispose()


class _Reading:
    def __init__(self, connection: Connection, query: UsageQuery) -> None:
        self._connection = connection
        self._query = query
        self._has_fate = query.is_waste_told or query.baseline is not None
        self._has_day = query.baseline is not None or not {"day", "month"}.isdisjoint(query.by)
        self._names = [name for name in query.by if name not in {"day", "month"}]
        self._asked = {_COLUMN.get(name, name) for name in (*self._names, *query.only)}

    def lines(self) -> Iterator[Line]:
        pruned = self._connection.execute(select(LEDGER_STATE.c.pruned_before_ms)).scalar_one()
        first, end, parts = whole_days(self._query.since_ms, self._query.until_ms, int(pruned))
        given_up = self._given_up(first, end, int(pruned) // DAY_MS)
        whole = and_(ROLLUPS.c.day >= first, ROLLUPS.c.day < end, ROLLUPS.c.day.not_in(given_up))
        yield from self._grouped(ROLLUPS, and_(whole, ROLLUPS.c.is_by_user == ("user" in self._asked)))
        parts += [(day * DAY_MS, (day + 1) * DAY_MS) for day in given_up]
        for start_ms, end_ms in parts:
            for table in (ATTEMPTS, REQUESTS):
                ended = table.c.ended_at_ms
                yield from self._grouped(table, and_(ended >= start_ms, ended < end_ms))

    def _given_up(self, first: int, end: int, pruned_before: int) -> list[int]:
        if self._asked.isdisjoint(_GIVEN_UP):
            return []
        days = select(ROLLUPS.c.day).where(
            ROLLUPS.c.is_by_user == ("user" in self._asked),
            ROLLUPS.c.day >= max(first, pruned_before),
            ROLLUPS.c.day < end,
            ROLLUPS.c.is_collapsed,
        )
        return list(self._connection.execute(days.distinct()).scalars())

    def _grouped(self, table: Table, where: ColumnElement[bool]) -> Iterator[Line]:
        named = [column_of(table, _COLUMN.get(name, name)).label(f"by_{name}") for name in self._names]
        columns: list[ColumnElement[Any]] = [*named]
        if self._has_day:
            columns.append((ROLLUPS.c.day if table is ROLLUPS else table.c.ended_at_ms // DAY_MS).label("day"))
        if self._has_fate:
            columns += _fate_of(table)
        sums = [func.sum(ROLLUPS.c[name]).label(name) for name in SUMS] if table is ROLLUPS else sums_over(table)
        found = select(*columns, *sums).where(where, *self._filters(table)).group_by(*columns)
        for row in self._connection.execute(found):
            values = row._asdict()
            # Without a grouping there is one row, also where nothing was found: then its sums are null or 0.
            if values["requests"] or values["attempts"]:
                yield self._line(values)

    def _filters(self, table: Table) -> Iterator[ColumnElement[bool]]:
        for name, wanted in self._query.only.items():
            names, column = [each for each in wanted if each is not None], _COLUMN.get(name, name)
            if column in table.c:
                yield or_(
                    table.c[column].in_(names) if names else false(),
                    table.c[column].is_(None) if None in wanted else false(),
                )
            elif None not in wanted:
                yield false()

    def _line(self, values: Mapping[str, Any]) -> Line:
        day = values.get("day")
        months = {"day": day, "month": None if day is None else month_of(day)}
        by: GroupKey = tuple(months[name] if name in months else values[f"by_{name}"] for name in self._query.by)
        fate = values.get("fate")
        if self._has_fate and "outcome" in values:
            fate = fate_of_row(values)
        sums = Sums(
            **{name: int(values[name]) for name in _PLAIN},
            cost=Money(int(values["cost_high"]) * HALF + int(values["cost_low"])),
            unpriced_attempts=int(values["unpriced_attempts"]),
        )
        return Line(by, day, fate, sums)


def whole_days(since_ms: int, until_ms: int | None, pruned_before_ms: int) -> tuple[int, int, list[tuple[int, int]]]:
    """Return the first whole day, the day after the last one, and the parts of days before and after, in milliseconds.

    A part of a day of which only the sums are left is a whole day.
    """
    since_ms = since_ms // DAY_MS * DAY_MS if since_ms < pruned_before_ms else since_ms
    first = -(-since_ms // DAY_MS)
    if until_ms is None:
        return first, _FOREVER, [(since_ms, first * DAY_MS)] if since_ms < first * DAY_MS else []
    until_ms = -(-until_ms // DAY_MS) * DAY_MS if until_ms < pruned_before_ms else until_ms
    end = until_ms // DAY_MS
    if first > end:  # both within one day
        return first, first, [(since_ms, until_ms)] if since_ms < until_ms else []
    parts = [(since_ms, first * DAY_MS), (end * DAY_MS, until_ms)]
    return first, end, [(start, stop) for start, stop in parts if start < stop]


_FOREVER = 2**31 - 1


def column_of(table: Table, name: str) -> ColumnElement[Any]:
    """Return a column, or nothing where the table has none of that name."""
    return table.c[name] if name in table.c else literal(None)


def _fate_of(table: Table) -> list[ColumnElement[Any]]:
    if table is ROLLUPS:
        return [ROLLUPS.c.fate.label("fate")]
    return [ATTEMPTS.c.cause.label("cause"), *fate_columns()] if table is ATTEMPTS else []
