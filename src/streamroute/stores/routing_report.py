"""Adds up from the ledger what routing has come to: see `core.routing.figures`.

Attempts belong to the request that they were made for, of whatever day; so a report reads requests one by one, as far
as they are kept. Where none is kept any more of a day, the report says nothing of it: sums of days know no domain.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, case, func, select

from streamroute.core.cost.price import Price
from streamroute.core.cost.report import Sums, cost_at
from streamroute.core.money import Money
from streamroute.core.quality.reliability import BINS, Bin, Reliability
from streamroute.core.routing.figures import Group, RoutingFigures
from streamroute.errors import StoreError
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.migrate import HEAD, version
from streamroute.stores.schema import ATTEMPTS, QUALITY, REQUESTS, SUMS
from streamroute.stores.sums import DAY_MS, HALF, fate_columns, fate_of_row, sums_over

Baseline = Callable[[str, int], Price | None]
"""The standard price of the large model of a route, by the name of that and the day (since the Unix epoch)."""


def read_routing(
    url: str, since_ms: int, until_ms: int | None, baseline: Baseline, *, timeout_s: float | None = None
) -> RoutingFigures:
    """Return the figures of requests that ended, and of judgements made, in a span; raises StoreError. Blocks."""
    engine = open_engine(url, is_reader=True, timeout_s=timeout_s)
    try:
        with transaction(engine) as connection:
            if version(connection) != HEAD:
                raise StoreError("there is no ledger of this version yet; `streamroute serve` makes it")
            figures = RoutingFigures()
            _add_requests(connection, figures, since_ms, until_ms)
            _add_attempts(connection, figures, since_ms, until_ms, baseline)
            _add_quality(connection, figures, since_ms, until_ms)
            _add_reliability(connection, figures, since_ms, until_ms)
            return figures
    finally:
        engine.dispose()


def _add_requests(connection: Connection, figures: RoutingFigures, since_ms: int, until_ms: int | None) -> None:
    by = _group_columns(REQUESTS)
    query = select(*by, func.count().label("requests")).where(_within(REQUESTS, since_ms, until_ms)).group_by(*by)
    for row in _rows(connection, query):
        figures.of(_group(row)).requests += int(row["requests"])


def _add_attempts(
    connection: Connection, figures: RoutingFigures, since_ms: int, until_ms: int | None, baseline: Baseline
) -> None:
    day = (REQUESTS.c.ended_at_ms // DAY_MS).label("day")
    by = [*_group_columns(REQUESTS), day, ATTEMPTS.c.cause, *fate_columns()]
    joined = ATTEMPTS.join(REQUESTS, ATTEMPTS.c.ledger_id == REQUESTS.c.ledger_id)
    query = select(*by, *sums_over(ATTEMPTS)).select_from(joined).where(_within(REQUESTS, since_ms, until_ms))
    for row in _rows(connection, query.group_by(*by)):
        group = figures.of(_group(row))
        group.paid(row["cause"], Money(int(row["cost_high"]) * HALF + int(row["cost_low"])))
        group.unpriced_calls += int(row["unpriced_attempts"])
        if fate_of_row(row) == "answer":
            price = baseline(row["by_route"], int(row["day"]))
            if price is None:
                group.baseline_unknown += int(row["attempts"])
            else:
                group.baseline = Money(group.baseline + cost_at(price, _tokens(row)))


def _add_quality(connection: Connection, figures: RoutingFigures, since_ms: int, until_ms: int | None) -> None:
    by = [*_group_columns(QUALITY), QUALITY.c.source]
    weight, score = QUALITY.c.weight, QUALITY.c.score
    sums = [func.count().label("judged"), func.sum(weight).label("total"), func.sum(weight * score).label("scored")]
    query = select(*by, *sums).where(_within(QUALITY, since_ms, until_ms)).group_by(*by)
    for row in _rows(connection, query):
        figures.of(_group(row)).judged(row["source"], int(row["judged"]), float(row["total"]), float(row["scored"]))


def _add_reliability(connection: Connection, figures: RoutingFigures, since_ms: int, until_ms: int | None) -> None:
    weight, predicted = QUALITY.c.weight, QUALITY.c.predicted
    # Not by rounding: databases differ in how they do it, and some builds of SQLite have no floor.
    edges = [(predicted < (place + 1) / BINS, place) for place in range(BINS - 1)]
    place = case(*edges, else_=BINS - 1).label("place")
    sums = [
        func.count().label("judged"),
        func.sum(weight).label("total"),
        func.sum(weight * predicted).label("expected"),
        func.sum(weight * QUALITY.c.score).label("scored"),
    ]
    query = select(QUALITY.c.source, place, *sums).where(
        and_(_within(QUALITY, since_ms, until_ms), predicted.is_not(None))
    )
    for row in _rows(connection, query.group_by(QUALITY.c.source, place)):
        table = figures.reliability.setdefault(row["source"], Reliability())
        found = Bin(int(row["judged"]), float(row["total"]), float(row["expected"]), float(row["scored"]))
        table.add_sums(int(row["place"]), found)


def _within(table: Table, since_ms: int, until_ms: int | None) -> ColumnElement[bool]:
    ended = table.c.ended_at_ms
    return ended >= since_ms if until_ms is None else and_(ended >= since_ms, ended < until_ms)


def _group_columns(table: Table) -> list[ColumnElement[Any]]:
    names = {"route": "route", "route_tier": "tier", "domain": "domain", "task": "task"}
    return [table.c[name].label(f"by_{shown}") for name, shown in names.items()]


def _group(row: Mapping[str, Any]) -> Group:
    return Group(row["by_route"], row["by_tier"], row["by_domain"], row["by_task"])


def _tokens(row: Mapping[str, Any]) -> Sums:
    named: dict[str, Any] = {name: int(row[name]) for name in SUMS[:7]}
    return Sums(**named)


def _rows(connection: Connection, query: Select[Any]) -> Iterator[Mapping[str, Any]]:
    for row in connection.execute(query):
        yield row._asdict()
