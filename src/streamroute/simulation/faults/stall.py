"""Fault `stall`: an answer that stops in the middle while its connection stays open."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import anyio

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import random_token, require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, ALL_LATE, Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Silent for good after `at_token` content tokens; not streamed: after half of the body."""

    kind: ClassVar[str] = "stall"
    at_token: int = 4
    """Content tokens that are still sent, at least 0; never the finish reason."""
    at_random: bool = False
    """After a random number of tokens instead, each request its own: from 1 to all but one."""
    alive: Literal["nothing", "comments", "empty_deltas"] = "nothing"
    """What is sent instead of content: nothing, SSE comments, or deltas with an empty content. Streams only."""
    every_s: float = 0.5
    """Seconds between those, above 0."""
    for_s: float | None = None
    """After this many seconds the rest of the answer is sent after all; None: never."""

    def __post_init__(self) -> None:
        require(is_met=self.at_token >= 0, message=f"at_token must be at least 0, not {self.at_token}")
        require(is_met=self.every_s > 0, message=f"every_s must be above 0, not {self.every_s}")

    async def play(self, exchange: Exchange) -> None:
        """Begin well, then stop."""
        if not exchange.is_stream:
            body = exchange.answer.whole()
            await exchange.pace_whole(0.5)
            await exchange.send_part(body, len(body) // 2)
            with anyio.move_on_after(self.for_s):
                await exchange.hang()
            await exchange.write(body[len(body) // 2 :])
            await exchange.finish()
            return
        token = random_token(exchange.moment, exchange.answer.steps) if self.at_random else self.at_token
        rest = await exchange.stream_until(token)
        await exchange.flush()
        with anyio.move_on_after(self.for_s):
            await self._stay(exchange)
        await exchange.stream_rest(rest)

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_FAIL if self.for_s is None else ALL_LATE

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        token = random_token(moment, normal.tokens) if self.at_random else self.at_token
        if self.for_s is None:
            return normal.stopped(token, "hang")
        if not normal.is_stream:
            return replace(normal.stopped(token, "done"), ends_at_token=normal.tokens, pause_s=self.for_s)
        if token >= normal.tokens:
            return replace(normal, pause_s=self.for_s)
        return replace(normal, gaps=(*normal.gaps, (token, self.for_s)))

    async def _stay(self, exchange: Exchange) -> None:
        if self.alive == "nothing":
            await exchange.hang()
        sign = b": keep-alive\n\n" if self.alive == "comments" else exchange.answer.empty_delta()
        while True:  # ends with the connection: writing to a closed one raises, and its end cancels the handler
            await anyio.sleep(self.every_s)
            await exchange.write(sign)
            await exchange.flush()
