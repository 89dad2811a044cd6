"""Reports over the ledger of a configuration: for the command and for the running sidecar."""

from collections.abc import Callable
from functools import cache

from streamroute.clock import wall
from streamroute.config.model import Config
from streamroute.config.prices import price_book
from streamroute.core.cost.baseline import baseline_prices
from streamroute.core.cost.price import Price
from streamroute.core.cost.price_now import priced_at
from streamroute.core.cost.report import DAY_S, UsageQuery, UsageRow, usage_rows
from streamroute.core.routing.figures import RoutingFigures, large_model
from streamroute.core.upstream import UpstreamId
from streamroute.errors import StoreError
from streamroute.stores.routing_report import read_routing
from streamroute.stores.usage import read_lines


def routing_report(
    config: Config, since_ms: int, until_ms: int | None, timeout_s: float | None = None
) -> RoutingFigures:
    """Read what routing has come to; blocks, for `timeout_s` at most. Raises StoreError."""
    if config.ledger.url is None:
        raise StoreError("there is none: `ledger.url` is off")
    book, at_s = price_book(config), int(wall())
    today, upstreams, served = at_s // DAY_S, priced_at(config.upstreams, book, at_s * 1000), config.served

    @cache
    def prices_of(route: str) -> Callable[[int], Price | None]:
        found = served.get(route)
        if found is None and UpstreamId(route) in upstreams:
            name: UpstreamId | None = UpstreamId(route)  # a client may name one
        else:
            name = None if found is None else large_model(found, upstreams)
        try:
            return _unknown if name is None else baseline_prices(name, book, upstreams, today)
        except ValueError:
            return _unknown

    return read_routing(
        config.ledger.url, since_ms, until_ms, lambda route, day: prices_of(route)(day), timeout_s=timeout_s
    )


def _unknown(day: int) -> None:
    return None


def usage_report(config: Config, query: UsageQuery, timeout_s: float | None = None) -> list[UsageRow]:
    """Read the ledger; blocks, for `timeout_s` at most. Raises StoreError, and ValueError for an unknown baseline."""
    if config.ledger.url is None:
        raise StoreError("there is none: `ledger.url` is off")
    prices = None
    if query.baseline is not None:
        prices = baseline_prices(query.baseline, price_book(config), config.upstreams, int(wall()) // DAY_S)
    return usage_rows(read_lines(config.ledger.url, query, timeout_s=timeout_s), prices)
