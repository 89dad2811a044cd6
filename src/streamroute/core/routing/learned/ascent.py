"""Where to begin, and which tier to ask next: the way up with the least expected cost.

The gate keeps quality, so what is left to choose is the price: asking a tier costs its call for certain, and saves what
comes after it where its answer is accepted. That is cascade routing (Dekoninck et al., ICML 2025, arXiv 2410.10347)
with the suffixes of the tiers as the ways there are, chosen anew after every answer. What is accepted is counted by
domain and tier, and forgotten slowly; a tier that is skipped is asked now and then, or it could never come back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

LEAST_JUDGED = 50
"""Answers of a tier before it is ever skipped: the standard error of the share is then .07 at most."""
EXPLORE_SHARE = 0.05
"""Of requests that are begun with a smaller tier than is best: it could become better."""
_KEEP = 0.995
"""Of earlier answers, at each new one: half is forgotten after 140."""


@dataclass(slots=True)
class Ascent:
    """What is accepted of one domain's answers, by tier."""

    judged: dict[int, float] = field(default_factory=dict)
    accepted: dict[int, float] = field(default_factory=dict)

    def was_judged(self, tier: int, *, is_accepted: bool) -> None:
        """Count an answer of a tier."""
        self.judged[tier] = self.judged.get(tier, 0.0) * _KEEP + 1.0
        self.accepted[tier] = self.accepted.get(tier, 0.0) * _KEEP + is_accepted

    def share(self, tier: int) -> float | None:
        """Return the share of a tier's answers that is accepted; None where too few were judged."""
        judged = self.judged.get(tier, 0.0)
        return (self.accepted[tier] + 1.0) / (judged + 2.0) if judged >= LEAST_JUDGED else None

    def best(self, tiers: Sequence[int], costs_usd: Sequence[float]) -> int:
        """Return which of `tiers`, in order, is best asked first, as a position; `costs_usd` are what asking each of
        them costs, the last one's answer being delivered as it is. One of which too little is known is never skipped.
        """
        best, way_usd = len(tiers) - 1, costs_usd[-1]
        for position in range(len(tiers) - 2, -1, -1):
            share = self.share(tiers[position])
            through_usd = costs_usd[position] + (1.0 - (0.5 if share is None else share)) * way_usd
            if share is None or through_usd <= way_usd:
                best, way_usd = position, through_usd
        return best
