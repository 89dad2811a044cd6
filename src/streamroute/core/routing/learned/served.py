"""What a policy came to on recorded outcomes: quality, money, and whose answers they were."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamroute.core.routing.learned.tier_policy import Outcomes

Floats = NDArray[np.float64]

_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Served:
    """One row a request: quality, money, and whose answer it was (one column a tier, shares where it is a mean)."""

    quality: Floats
    cost_usd: Floats
    by_tier: Floats

    @property
    def shares(self) -> Floats:
        """Return the share of each tier."""
        return np.asarray(self.by_tier.mean(axis=0))


def served_by(tier: NDArray[np.intp], quality: Floats, cost_usd: Floats, tiers: int) -> Served:
    """Return what was served, from one tier a request."""
    return Served(quality, cost_usd, np.eye(tiers)[tier])


def always(outcomes: Outcomes, tier: int) -> Served:
    """Return what one tier alone comes to."""
    many = len(outcomes.scores)
    return served_by(np.full(many, tier), outcomes.scores[:, tier], outcomes.costs_usd[:, tier], outcomes.tiers)


def ratio_interval(quality: Floats, large: Floats, weights: Floats, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the ratio of two means over the same requests, by bootstrap."""
    rng = np.random.default_rng(seed)
    many = len(quality)
    ratios = []
    for _ in range(_RESAMPLES):
        counts = weights * np.bincount(rng.integers(0, many, many), minlength=many)
        ratios.append(float(counts @ quality) / max(1e-9, float(counts @ large)))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
