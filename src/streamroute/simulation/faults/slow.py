"""Fault `slow`: a step. Everything takes a multiple of its time, from one request to the next."""

from dataclasses import dataclass
from typing import ClassVar

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """Good answers, slower. A response that is not streamed is slower as a whole."""

    kind: ClassVar[str] = "slow"
    factor: float = 2.0
    """Of the time to the first token, at least 0."""
    tpot_factor: float = 1.0
    """Of the time for each further token, at least 0."""

    def __post_init__(self) -> None:
        require(is_met=self.factor >= 0 and self.tpot_factor >= 0, message="factors must be at least 0")

    async def play(self, exchange: Exchange) -> None:
        """Answer well, at that pace."""
        exchange.profile = exchange.profile.slowed(self.factor, self.tpot_factor)
        await exchange.answer_normally()

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return Severity(slow=self.factor, pace=self.tpot_factor)

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        return normal.slowed(self.factor, self.tpot_factor)
