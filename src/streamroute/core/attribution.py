"""Whom spend is attributed to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Names as the client gave them; None where it gave none."""

    task: str | None = None
    user: str | None = None
    team: str | None = None
    key: str | None = None
    """The name of the key that the client called with, never the key."""


MAX_NAME_CHARS = 128
"""Names are kept for years; the longest ids in use (two UUIDs and a prefix) have some 80."""


def name_of(value: object) -> str | None:
    """Return a name as it is attributed to: without blanks around it and not too long; None where it is none."""
    return value.strip()[:MAX_NAME_CHARS] or None if isinstance(value, str) else None


NOBODY = Attribution()
