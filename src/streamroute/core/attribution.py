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


NOBODY = Attribution()
