"""The ledger of a running sidecar: accounting, writer, database and spool, put together by `app`."""

from dataclasses import replace

import anyio.to_thread

from streamroute.clock import wall
from streamroute.config.model import Config
from streamroute.config.prices import price_lines
from streamroute.core.cost.baseline import baseline_prices
from streamroute.core.cost.ledger_figures import LedgerFigures
from streamroute.core.cost.price_book import PriceBook
from streamroute.core.cost.report import DAY_S, UsageQuery, UsageRow, usage_rows
from streamroute.core.routing.route import Catalog
from streamroute.engine.accounting import Accounting, Terms
from streamroute.stores.ledger import Ledger
from streamroute.stores.options import LedgerOptions
from streamroute.stores.spool import Spool
from streamroute.stores.usage import read_lines
from streamroute.stores.writer import LedgerWriter

CLOSE_TIMEOUT_S = 3.0
"""How long the last entries may take: a database that is busy for a second, then the disk."""


class Bookkeeping:
    """Keeps the ledger."""

    def __init__(self, options: LedgerOptions, config: Config, catalog: Catalog) -> None:
        """Begin to write; `options` name a database."""
        if options.url is None or options.spool_dir is None:
            raise ValueError("there is no ledger to keep")
        self._url = options.url
        self._writer = LedgerWriter(
            Ledger(options.url, keep_days=options.keep_days),
            Spool(options.spool_dir),
            flush_interval_s=options.flush_interval_s,
        )
        self.accounting = Accounting(self._writer.record, _terms(config, catalog))
        self._writer.start()

    def apply(self, config: Config, catalog: Catalog) -> None:
        """Go by the prices of a new configuration."""
        self.accounting.apply(_terms(config, catalog))

    def figures(self) -> LedgerFigures:
        """Return how the ledger fares."""
        return replace(self._writer.figures(), unpriced=self.accounting.unpriced_attempts)

    def report(self, query: UsageQuery, timeout_s: float) -> list[UsageRow]:
        """Read the ledger; from any thread. Raises StoreError, and ValueError for an unknown baseline."""
        prices, terms = None, self.accounting.terms
        if query.baseline is not None:
            prices = baseline_prices(query.baseline, terms.prices, terms.catalog.upstreams, int(wall()) // DAY_S)
        return usage_rows(read_lines(self._url, query, timeout_s=timeout_s), prices)

    async def aclose(self) -> None:
        """Write what there is; bounded."""
        await anyio.to_thread.run_sync(self._writer.close, CLOSE_TIMEOUT_S)


def _terms(config: Config, catalog: Catalog) -> Terms:
    return Terms(catalog=catalog, prices=PriceBook(price_lines(config.upstreams, config.prices)))
