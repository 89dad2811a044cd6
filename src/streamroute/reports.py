"""Reports over the ledger of a configuration: for the command and for the running sidecar."""

from streamroute.clock import wall
from streamroute.config.model import Config
from streamroute.config.prices import price_book
from streamroute.core.cost.baseline import baseline_prices
from streamroute.core.cost.report import DAY_S, UsageQuery, UsageRow, usage_rows
from streamroute.errors import StoreError
from streamroute.stores.usage import read_lines


def usage_report(config: Config, query: UsageQuery, timeout_s: float | None = None) -> list[UsageRow]:
    """Read the ledger; blocks, for `timeout_s` at most. Raises StoreError, and ValueError for an unknown baseline."""
    if config.ledger.url is None:
        raise StoreError("there is none: `ledger.url` is off")
    prices = None
    if query.baseline is not None:
        prices = baseline_prices(query.baseline, price_book(config), config.upstreams, int(wall()) // DAY_S)
    return usage_rows(read_lines(config.ledger.url, query, timeout_s=timeout_s), prices)
