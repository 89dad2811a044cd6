"""Fault `reset`: the connection breaks before any header of the response."""

from dataclasses import dataclass, replace
from typing import ClassVar

import anyio

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """Reads the request, then sends a TCP RST (SO_LINGER 0). The same for a stream: nothing has begun yet."""

    kind: ClassVar[str] = "reset"
    delay_s: float = 0.0
    """Seconds before it, at least 0."""

    def __post_init__(self) -> None:
        require(is_met=self.delay_s >= 0, message=f"delay_s must be at least 0, not {self.delay_s}")

    async def play(self, exchange: Exchange) -> None:
        """Break the connection."""
        if self.delay_s:
            await anyio.sleep(self.delay_s)
        await exchange.reset()

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_FAIL

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        return replace(normal.silent(), ending="reset", pause_s=self.delay_s)
