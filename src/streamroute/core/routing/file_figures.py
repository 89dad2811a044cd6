"""How what routing writes to disk fares, for metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingFileFigures:
    """Counters count from the start of the process."""

    state_trouble: str | None = None
    """Why what was learned cannot be saved; None: it can, or nothing is kept."""
    log_written: int = 0
    """Lines."""
    log_dropped: int = 0
    """Lines that nothing had room for."""


NOTHING_WRITTEN = RoutingFileFigures()
