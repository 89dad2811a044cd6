"""The ledger of a running sidecar: accounting, writer, database and spool, put together by `app`."""

from dataclasses import replace

import anyio
import anyio.to_thread
import structlog

from streamroute.clock import wall
from streamroute.core.cost.budget import Budgets, Identity, window_start_ms
from streamroute.core.cost.ledger_figures import LedgerFigures
from streamroute.core.cost.report import Grouping
from streamroute.core.money import Money
from streamroute.engine.accounting import Accounting
from streamroute.errors import StoreError
from streamroute.stores.ledger import Ledger
from streamroute.stores.options import LedgerOptions
from streamroute.stores.spool import Spool
from streamroute.stores.usage import read_usage
from streamroute.stores.writer import LedgerWriter

_log = structlog.get_logger(__name__)

LOOK_S = 0.1
RETRY_S = 5.0
"""A database that is away is away for seconds at least."""
SETTLED_AFTER_MS = 1500
"""What was spent before a budget came here is in the database by then: the longest interval, and half of it."""
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
        self.accounting = Accounting(self._writer.record)
        self._writer.start()

    def figures(self) -> LedgerFigures:
        """Return how the ledger fares."""
        return replace(self._writer.figures(), unpriced=self.accounting.unpriced_attempts)

    async def recall(self, budgets: Budgets) -> None:
        """Learn from the ledger what was spent before a budget came here, until cancelled."""
        began_ms = int(wall() * 1000)
        while True:
            now_ms = int(wall() * 1000)
            ripe = [
                (identity, came_ms)
                for identity, came_ms in budgets.unknown.items()
                if came_ms <= began_ms or now_ms - came_ms >= SETTLED_AFTER_MS
            ]
            wait_s = LOOK_S
            if ripe and self._writer.has_taken_over:
                try:
                    for identity, came_ms in ripe:
                        spent = await anyio.to_thread.run_sync(self._spent, identity, came_ms, abandon_on_cancel=True)
                        budgets.recall(identity, spent, int(wall() * 1000))
                except StoreError as error:
                    _log.warning("budgets.spend_unknown", reason=str(error))
                    wait_s = RETRY_S
            await anyio.sleep(wait_s)

    def _spent(self, identity: Identity, until_ms: int) -> list[tuple[str | None, Money]]:
        """Return what each name had spent in the window up to `until_ms`."""
        scope, name, window = identity
        by: list[Grouping] = [] if scope == "global" else [scope]
        only: dict[Grouping, tuple[str | None, ...]] = {} if scope == "global" or name is None else {scope: (name,)}
        rows = read_usage(self._url, by, window_start_ms(window, until_ms), until_ms, only)
        return [(str(row.by[0]) if by else None, row.cost) for row in rows if not by or row.by[0] is not None]

    async def aclose(self) -> None:
        """Write what there is; bounded."""
        await anyio.to_thread.run_sync(self._writer.close, CLOSE_TIMEOUT_S)
