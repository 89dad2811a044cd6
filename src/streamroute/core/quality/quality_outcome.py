"""How good an answer turned out to be: what every way of finding out tells, and all that learns is told."""

from dataclasses import dataclass
from typing import Literal

from streamroute.core.upstream import UpstreamId

QualitySource = Literal["feedback", "audit", "assessor"]
"""A person or program that used the answer; a comparison with another model's; what the answer itself shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityOutcome:
    """One answer, judged."""

    decision_id: str
    upstream: UpstreamId
    """Who gave it."""
    score: float
    """0 (worthless) to 1 (right)."""
    source: QualitySource
    propensity: float = 1.0
    """The chance, above 0, that this answer came to be judged: weigh by one over it (Horvitz and Thompson, 1952)."""
    label: str | None = None
    """What the judge had to say besides; short."""
