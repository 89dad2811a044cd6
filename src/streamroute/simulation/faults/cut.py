"""Fault `cut`: an answer whose end never comes, because the connection ends first."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import random_token, require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Ends after `at_token` content tokens without a finish reason; not streamed: after half of the body."""

    kind: ClassVar[str] = "cut"
    at_token: int = 4
    """Content tokens that are still sent, at least 0; never the finish reason."""
    at_random: bool = False
    """After a random number of tokens instead, each request its own: from 1 to all but one."""
    how: Literal["reset", "close", "eof"] = "reset"
    """`reset`: a TCP RST. `close`: a FIN without the end of the body (no last chunk; fewer bytes than Content-Length).
    `eof`: a body that is complete by HTTP's rules, and just stops (not streamed: half of a JSON document)."""

    def __post_init__(self) -> None:
        require(is_met=self.at_token >= 0, message=f"at_token must be at least 0, not {self.at_token}")

    async def play(self, exchange: Exchange) -> None:
        """Begin well, then end."""
        if exchange.is_stream:
            token = random_token(exchange.moment, exchange.answer.steps) if self.at_random else self.at_token
            await exchange.stream_until(token)
        else:
            body = exchange.answer.whole()
            await exchange.pace_whole(0.5)
            await exchange.send_part(body, len(body) // 2, promise_length=self.how != "eof")
        match self.how:
            case "reset":
                await exchange.reset()
            case "close":
                await exchange.hang_up()
            case "eof":
                await exchange.finish()

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_FAIL

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        token = random_token(moment, normal.tokens) if self.at_random else self.at_token
        return normal.stopped(token, "eof" if self.how == "eof" else "reset")
