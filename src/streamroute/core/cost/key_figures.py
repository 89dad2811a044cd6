"""How the keys fare, for `/readyz`, `/status` and metrics."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigures:
    """As they were last read."""

    live: int = 0
    expired: int = 0
    revoked: int = 0
    trouble: str | None = None
    """Why they cannot be read now; None: they can, and what is known of them is at most some seconds old."""
