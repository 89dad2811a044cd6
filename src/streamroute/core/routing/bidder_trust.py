"""How far a bidder is believed: by what became of the quality that it promised.

Of every answer that was judged and for whose upstream a bidder had promised a quality, promise and outcome are added
up. A bidder that keeps its promises, or more than that, has weight 1; one whose answers are right half as often as it
promised comes to a half. Old outcomes are forgotten slowly, so trust can be earned back.
"""

from dataclasses import dataclass

PRIOR = 20.0
"""Promises that a new bidder is held to have kept: it loses little by its first bad answers."""
KEEP = 0.995
"""Of all earlier outcomes, at each new one: half is forgotten after 140."""
LEAST = 0.5
"""Below this weight what a bidder says of quality counts for nothing: its promises do not tell anything."""


@dataclass(slots=True)
class BidderTrust:
    """What is known of one bidder."""

    promised: float = 0.0
    """Sum of promises of quality, weighted."""
    kept: float = 0.0
    """Sum of what became of them."""
    outcomes: int = 0

    @property
    def weight(self) -> float:
        """0..1: what a promise of its is worth; 0 where it is worth nothing."""
        found = min(1.0, (PRIOR + self.kept) / (PRIOR + self.promised))
        return found if found >= LEAST else 0.0

    def learn(self, promised: float, score: float, weight: float = 1.0) -> None:
        """Take in one outcome; `weight` is one over the chance that it came to be judged."""
        self.promised = KEEP * self.promised + weight * promised
        self.kept = KEEP * self.kept + weight * score
        self.outcomes += 1
