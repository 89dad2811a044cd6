"""Reads from the ledger what budgets must know: what was spent before they came, and what other sidecars spend."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Engine, case, func, null, select

from streamroute.core.cost.budget_line import Scope
from streamroute.core.cost.elsewhere import HOUR_MS, SpentElsewhere
from streamroute.core.cost.report import Grouping
from streamroute.core.money import Money
from streamroute.errors import StoreError
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.schema import ATTEMPTS
from streamroute.stores.sums import HALF
from streamroute.stores.usage import read_usage

MAX_NAMES = 500
"""In one question; of more, everybody's spend is read."""


class SpendReader:
    """Reads. Everything blocks, and raises StoreError."""

    def __init__(self, url: str, sidecar: str) -> None:
        """`sidecar`: as whom this process writes."""
        self._url = url
        self._sidecar = sidecar
        self._engine: Engine | None = None

    def before(
        self, scope: Scope, names: Sequence[str | None], since_ms: int, until_ms: int, *, heard_from_ms: int
    ) -> dict[str | None, Money]:
        """Return what each of `names` has spent in a span, all names for None. Of what was spent from `heard_from_ms`
        on it is this process's part only: `others` tells the rest."""
        is_all = None in names or len(names) > MAX_NAMES
        by: list[Grouping] = [] if scope == "global" else [scope]
        only: dict[Grouping, tuple[str | None, ...]] = {} if scope == "global" or is_all else {scope: tuple(names)}
        found: dict[str | None, int] = {}
        shared_until_ms = min(until_ms, heard_from_ms)
        if since_ms < shared_until_ms:
            for row in read_usage(self._url, by, since_ms, shared_until_ms, only):
                name = str(row.by[0]) if by and row.by[0] is not None else None
                if name is not None or not by:
                    found[name] = found.get(name, 0) + row.cost
        own_since_ms = max(since_ms, heard_from_ms)
        if own_since_ms < until_ms:
            span = (ATTEMPTS.c.ended_at_ms >= own_since_ms) & (ATTEMPTS.c.ended_at_ms < until_ms)
            for each in self._sums([scope], span & (ATTEMPTS.c.sidecar == self._sidecar), until_ms):
                found[each.name] = found.get(each.name, 0) + each.cost
        return {name: Money(cost) for name, cost in found.items()}

    def others(self, scopes: Iterable[Scope], since_ms: int, certain_before_ms: int) -> list[SpentElsewhere]:
        """Return what other sidecars have spent since then, by hour."""
        where = (ATTEMPTS.c.ended_at_ms >= since_ms) & ATTEMPTS.c.sidecar.is_distinct_from(self._sidecar)
        return list(self._sums(scopes, where, certain_before_ms))

    def close(self) -> None:
        """Close the connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _sums(
        self, scopes: Iterable[Scope], where: ColumnElement[bool], certain_before_ms: int
    ) -> Iterator[SpentElsewhere]:
        ended, cost = ATTEMPTS.c.ended_at_ms, ATTEMPTS.c.cost
        hour = (ended // HOUR_MS).label("hour")
        is_certain = case((ended < certain_before_ms, 1), else_=0).label("is_certain")
        try:
            if self._engine is None:
                self._engine = open_engine(self._url, is_reader=True)
            with transaction(self._engine) as connection:
                for scope in scopes:
                    column: ColumnElement[Any] = null() if scope == "global" else ATTEMPTS.c[scope]
                    by = [hour, is_certain] if scope == "global" else [column.label("name"), hour, is_certain]
                    halves = [func.sum(cost // HALF), func.sum(cost % HALF)]
                    query = select(*by, *halves).where(where, cost.is_not(None)).group_by(*by)
                    if scope != "global":
                        query = query.where(column.is_not(None))
                    for row in connection.execute(query):
                        name, hour_, certain, high, low = (None, *row) if scope == "global" else row
                        yield SpentElsewhere(
                            scope=scope,
                            name=name,
                            hour_ms=int(hour_) * HOUR_MS,
                            is_certain=bool(certain),
                            cost=Money(int(high) * HALF + int(low)),
                        )
        except StoreError:
            self.close()
            raise
