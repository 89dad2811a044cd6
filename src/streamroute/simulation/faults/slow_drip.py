"""Fault `slow_drip`: a good answer in pieces of a few bytes, cut anywhere, also within a character or a field name."""

import math
from dataclasses import dataclass
from typing import ClassVar

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_LATE, NO_HARM, Severity
from streamroute.simulation.timeline import Timeline

_EVENT_BYTES = 250
"""Roughly one event of a stream, for the times of a timeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowDrip:
    """Every byte of the body is sent in pieces of `piece_bytes`, each its own write and HTTP chunk."""

    kind: ClassVar[str] = "slow_drip"
    piece_bytes: int = 7
    """At least 1. Seven never lines up with the length of an event for long."""
    interval_s: float = 0.0
    """Seconds between the pieces, at least 0; 0 only lets others run."""

    def __post_init__(self) -> None:
        require(is_met=self.piece_bytes >= 1, message=f"piece_bytes must be at least 1, not {self.piece_bytes}")
        require(is_met=self.interval_s >= 0, message=f"interval_s must be at least 0, not {self.interval_s}")

    async def play(self, exchange: Exchange) -> None:
        """Answer well, drop by drop."""
        exchange.drip = (self.piece_bytes, self.interval_s)
        await exchange.answer_normally()

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_LATE if self.interval_s else NO_HARM

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        pieces = math.ceil(_EVENT_BYTES / self.piece_bytes)
        return normal.paced(
            ttft_s=(normal.ttft_s or 0.0) + 2 * pieces * self.interval_s,
            tpot_s=max(normal.tpot_s, pieces * self.interval_s),
        )
