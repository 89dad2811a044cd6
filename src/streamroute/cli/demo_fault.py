"""A fault of the demo alone: every so many answers another trouble, counted and not drawn, so that each is shown."""

from dataclasses import dataclass
from typing import ClassVar

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import Fault
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import Severity, mixed
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class InTurn:
    """Good answers, of which every `every`-th meets the next of `faults`; the second of a phase is the first."""

    kind: ClassVar[str] = "in_turn"
    faults: tuple[Fault, ...]
    """Never empty."""
    every: int
    """At least 2."""

    def fault_of(self, ordinal: int) -> Fault | None:
        """Return what the request of this 0-based number meets."""
        turn, rest = divmod(ordinal, self.every)
        return self.faults[turn % len(self.faults)] if rest == 1 else None

    async def play(self, exchange: Exchange) -> None:
        """Answer well, or let the fault play."""
        fault = self.fault_of(exchange.moment.ordinal)
        await (exchange.answer_normally() if fault is None else fault.play(exchange))

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of all of them together."""
        share = 1 / self.every / len(self.faults)
        return mixed([(share, fault.severity(elapsed_s)) for fault in self.faults])

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        fault = self.fault_of(moment.ordinal)
        return normal if fault is None else fault.timeline(normal, moment)
