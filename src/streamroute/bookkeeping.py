"""The ledger of a running sidecar: accounting, writer, database and spool, put together by `app`."""

import uuid
from dataclasses import replace

import anyio.to_thread

from streamroute.core.cost.ledger_figures import LedgerFigures
from streamroute.engine.accounting import Accounting
from streamroute.engine.spending import Spending, now_ms
from streamroute.spend_watch import Readiness, SpendWatch
from streamroute.stores.ledger import Ledger
from streamroute.stores.options import LedgerOptions
from streamroute.stores.spend import SpendReader
from streamroute.stores.spool import Spool
from streamroute.stores.writer import LedgerWriter

CLOSE_TIMEOUT_S = 3.0
"""How long the last entries may take: a database that is busy for a second, then the disk."""


class Bookkeeping:
    """Keeps the ledger."""

    def __init__(self, options: LedgerOptions) -> None:
        """Begin to write; `options` name a database."""
        if options.url is None or options.spool_dir is None:
            raise ValueError("there is no ledger to keep")
        self._url = options.url
        self._writer = LedgerWriter(
            Ledger(options.url, keep_days=options.keep_days),
            Spool(options.spool_dir),
            flush_interval_s=options.flush_interval_s,
        )
        self._sidecar = uuid.uuid4().hex[:12]
        self.accounting = Accounting(self._writer.record, sidecar=self._sidecar)
        self._writer.start()

    def figures(self) -> LedgerFigures:
        """Return how the ledger fares."""
        return replace(self._writer.figures(), unpriced=self.accounting.unpriced_attempts)

    async def follow(self, spending: Spending) -> None:
        """Tell budgets what the ledger says of spend, until cancelled."""
        reader = SpendReader(self._url, self._sidecar)
        await SpendWatch(spending, reader, self._readiness, began_ms=now_ms()).run()

    def _readiness(self) -> Readiness:
        figures = self._writer.figures()
        return Readiness(
            has_taken_over=self._writer.has_taken_over, has_own=figures.trouble is None and not figures.spooled
        )

    async def aclose(self) -> None:
        """Write what there is; bounded."""
        await anyio.to_thread.run_sync(self._writer.close, CLOSE_TIMEOUT_S)
