"""What the ledger works with."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOptions:
    """Where entries go, and how soon."""

    url: str | None = field(default=None, repr=False)
    """SQLAlchemy's, perhaps with a password; None: there is no ledger."""
    flush_interval_s: float = 0.5
    """How long an entry may wait in memory before it is written; 0..1. 0: it is on disk before an answer ends. Half of
    the second that operators are promised to lose at most."""
    keep_days: int = 90
    """How many days attempts and requests are kept one by one, at least; 0: for ever. Sums of each day are kept in any
    case. 90: invoices come by the month, and are disputed within the next or the one after."""
    spool_dir: Path | None = None
    """Where entries wait while the database is not to be had; None only without a ledger."""
