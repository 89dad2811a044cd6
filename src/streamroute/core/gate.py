"""What a route with tiers demands of an answer that is held back: the settings of the gate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

CallingAssessor = Literal["agreement", "judge"]
"""Assessors that ask a model, and are asked only where a route says so."""

ACCEPT_AT = 0.5
"""At 0.5 an answer that any check objects to is not delivered, and the probabilities of its words must not be low; what
they are worth differs from model to model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The least score, 0..1, with which an answer is delivered."""

    by_tier: tuple[float, ...] = (ACCEPT_AT,)
    """Smallest models first; the last one counts for all that follow."""
    by_task: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The same for requests of one task or domain."""

    def of(self, tier: int, *about: str | None) -> float:
        """Return the one for a tier (0-based) and a request's task or domain, whichever is named here first."""
        steps = next((self.by_task[each] for each in about if each and each in self.by_task), self.by_tier)
        return steps[min(tier, len(steps) - 1)]

    def __str__(self) -> str:
        """For people: `0.9, 0.95; code 0.97`."""
        return "; ".join([_steps(self.by_tier), *(f"{task} {_steps(each)}" for task, each in self.by_task.items())])


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """How many answers that were delivered, of small models or of auctions, are looked into afterwards, and what that
    may cost."""

    share: float = 0.05
    """In auctions: of requests, 0..1, at most. With tiers: of accepted answers, in a domain that has earned its trust.
    At 2 to 10 % the quality that a fixed threshold loses under a shift of questions was found and mended
    (bench/results/routing.json)."""
    max_loss: float = 0.02
    """With tiers: quality, 0..1, that delivering small models' answers may lose, over all requests of a domain: what
    comes of one answer in eighteen that the large model disagrees with (`core.quality.comparison.GAIN`)."""
    max_usd_per_day: Decimal = Decimal(1)
    """In US dollars, of a route and a UTC day."""


def _steps(steps: tuple[float, ...]) -> str:
    return ", ".join(f"{each:g}" for each in steps)
