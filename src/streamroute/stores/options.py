"""What the ledger works with, and what routing writes beside it."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingFiles:
    """What routing keeps on disk."""

    state: Path | None = None
    """What was learned; None: it is forgotten at the end of the process."""
    save_interval_s: float = 30.0
    """How often what was learned since is saved; 0.1..3600. A kill loses so much: outcomes come by the minute, and
    the ledger has every one of them. To gather ten megabytes holds the event loop up for some 14 ms."""
    log: Path | None = None
    """Every decision and what came of it, a line each; None: no such log."""
    log_max_mb: int = 64
    """Of one file, before it is put aside; 1..65536. Some 40,000 requests with five upstreams."""
    log_keep: int = 3
    """How many that were put aside stay; 0..1000."""
