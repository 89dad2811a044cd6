"""Fault `heavy_tail`: more and more requests are served very late, while the median stays as it was."""

from dataclasses import dataclass
from typing import ClassVar

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require
from streamroute.simulation.faults.slow import Slow
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class HeavyTail:
    """A share of the requests waits `factor` times as long for its first token; the share grows linearly."""

    kind: ClassVar[str] = "heavy_tail"
    from_share: float = 0.005
    """Of the requests when the phase begins, 0 to 1."""
    to_share: float = 0.05
    """After `over_s`, 0 to 1."""
    over_s: float = 60.0
    """Seconds of the growth, above 0."""
    factor: float = 20.0
    """At least 1. The default turns half a second into ten: beyond most limits for a first token."""

    def __post_init__(self) -> None:
        is_share = 0 <= self.from_share <= 1 and 0 <= self.to_share <= 1
        require(is_met=is_share, message="from_share and to_share must be between 0 and 1")
        require(is_met=self.over_s > 0, message=f"over_s must be above 0, not {self.over_s}")
        require(is_met=self.factor >= 1, message=f"factor must be at least 1, not {self.factor}")

    def share(self, elapsed_s: float) -> float:
        """Return how many are late by then, 0 to 1."""
        return self.from_share + (self.to_share - self.from_share) * min(1.0, elapsed_s / self.over_s)

    def is_hit(self, moment: Moment) -> bool:
        """Return whether a request is one of the late ones."""
        return moment.fraction("heavy") < self.share(moment.elapsed_s)

    async def play(self, exchange: Exchange) -> None:
        """Answer well, in time or very late."""
        await Slow(factor=self.factor if self.is_hit(exchange.moment) else 1.0).play(exchange)

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return Severity(late=self.share(elapsed_s))

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        return normal.slowed(self.factor) if self.is_hit(moment) else normal
