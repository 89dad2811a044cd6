"""Fault `refuse`: nobody takes the connection."""

from dataclasses import dataclass, replace
from typing import ClassVar

import anyio

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """No connection. On a socket, which somebody has to hold open, it is reset as soon as the request is there."""

    kind: ClassVar[str] = "refuse"
    after_s: float = 0.0
    """Seconds before it, at least 0: a firewall that drops packets makes clients wait."""

    def __post_init__(self) -> None:
        require(is_met=self.after_s >= 0, message=f"after_s must be at least 0, not {self.after_s}")

    async def play(self, exchange: Exchange) -> None:
        """Break the connection."""
        if self.after_s:
            await anyio.sleep(self.after_s)
        await exchange.reset()

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_FAIL

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see, as a connection that never was."""
        return replace(normal.silent(), is_refused=True, ending="reset", pause_s=self.after_s)
