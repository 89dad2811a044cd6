"""Fault `missing_done`: a complete stream without its `[DONE]`."""

from dataclasses import dataclass
from typing import ClassVar

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import NO_HARM, Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingDone:
    """Everything up to the finish reason and the usage chunk, then a correct end. Not streamed: no effect."""

    kind: ClassVar[str] = "missing_done"

    async def play(self, exchange: Exchange) -> None:
        """Answer well, without the last event."""
        if not exchange.is_stream:
            await exchange.answer_normally()
            return
        rest = await exchange.stream_until(0)
        await exchange.stream_rest(event for event in rest if event.kind != "done")

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return NO_HARM

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        return normal
