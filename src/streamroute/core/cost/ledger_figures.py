"""How the ledger fares, for `/readyz`, `/status` and metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFigures:
    """Counters count entries from the start of the process."""

    waiting: int = 0
    """In memory."""
    spooled: int = 0
    """On disk, waiting for the database."""
    written: int = 0
    refused: int = 0
    """That the database or the spool could not take, each for itself."""
    dropped: int = 0
    """That nothing had room for: their cost is in no report."""
    unpriced: int = 0
    """Charged attempts whose price nobody knew."""
    trouble: str | None = None
    """Why the database is not to be had; None: it is."""
