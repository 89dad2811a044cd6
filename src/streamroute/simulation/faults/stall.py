"""Fault `stall`: an answer that stops in the middle while its connection stays open."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import anyio

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Silent for good after `at_token` content tokens; not streamed: after half of the body."""

    kind: ClassVar[str] = "stall"
    at_token: int = 4
    """Content tokens that are still sent, at least 0; never the finish reason."""
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
        rest = await exchange.stream_until(self.at_token)
        await exchange.flush()
        with anyio.move_on_after(self.for_s):
            await self._stay(exchange)
        await exchange.stream_rest(rest)

    async def _stay(self, exchange: Exchange) -> None:
        if self.alive == "nothing":
            await exchange.hang()
        sign = b": keep-alive\n\n" if self.alive == "comments" else exchange.answer.empty_delta()
        while True:  # ends with the connection: writing to a closed one raises, and its end cancels the handler
            await anyio.sleep(self.every_s)
            await exchange.write(sign)
            await exchange.flush()
