"""How a price feed fares."""

from dataclasses import dataclass
from typing import Literal

FeedState = Literal["fresh", "stale", "unused", "silent"]
"""`stale`: used and marked; `unused`: too old, what is configured counts; `silent`: nothing was ever heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFigures:
    """Counts from the start of the process."""

    name: str
    state: FeedState
    as_of_ms: int | None
    """When its prices were true, by its own word."""
    age_s: float | None
    prices: int
    """In the document that counts now."""
    accepted: int
    """Reads whose document was taken."""
    refused: int
    """Reads whose document could not be believed."""
    unreachable: int
    """Reads that came to nothing."""
    trouble: str | None
    """What was wrong with the last read; None: nothing."""
