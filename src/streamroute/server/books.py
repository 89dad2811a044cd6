"""What the HTTP surface asks of the ledger."""

from collections.abc import Callable
from dataclasses import dataclass

from streamroute.core.cost.ledger_figures import LedgerFigures
from streamroute.core.cost.report import UsageQuery, UsageRow
from streamroute.stores.request_reader import KeptRequest

ReadUsage = Callable[[UsageQuery, float], list[UsageRow]]
"""Blocks, for so many seconds at most. Raises StoreError, and ValueError for an unknown baseline."""
FindRequest = Callable[[str, float], KeptRequest | None]
"""Blocks, for so many seconds at most. Raises StoreError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The ledger of a running sidecar; the default is that there is none."""

    figures: Callable[[], LedgerFigures | None] = lambda: None
    """How it fares."""
    usage: ReadUsage | None = None
    find_request: FindRequest | None = None
    keep_days: int = 0
    """That it keeps requests one by one; 0: for ever."""


NO_BOOKS = Books()
