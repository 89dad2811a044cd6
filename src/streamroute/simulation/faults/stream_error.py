"""Fault `stream_error`: an error that arrives after status 200."""

from dataclasses import dataclass
from typing import ClassVar

from streamroute.simulation.answer import ErrorShape
from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import random_token, require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamError:
    """An error event after `at_token` content tokens, then the end of the stream, no finish reason of the answer.

    Not streamed: status 200 with an error object instead of choices, as OpenRouter does.
    """

    kind: ClassVar[str] = "stream_error"
    at_token: int = 0
    """Content tokens before it, at least 0."""
    at_random: bool = False
    """After a random number of tokens instead, each request its own: from 1 to all but one."""
    shape: ErrorShape = "openai"
    """`openai`: `data: {"error": ...}`. `event`: the same under `event: error`. `openrouter`: a chunk with choices,
    `finish_reason: "error"` and a top-level `error`, per OpenRouter's documentation of errors in streams. In
    Anthropic's format there is one shape for all."""
    message: str = "The server had an error while processing your request. Sorry about that!"
    type: str = "server_error"
    code: str | int | None = None
    """`error.code`; with `openrouter` an HTTP status, by default 502."""
    then_done: bool = False
    """Whether `[DONE]` follows, as with OpenRouter at times."""

    def __post_init__(self) -> None:
        require(is_met=self.at_token >= 0, message=f"at_token must be at least 0, not {self.at_token}")

    async def play(self, exchange: Exchange) -> None:
        """Begin well, then report an error."""
        if not exchange.is_stream:
            await exchange.pace_whole(0.5)
            body = exchange.answer.error_body(self.shape, type_=self.type, code=self.code, message=self.message)
            await exchange.send(200, body)
            return
        token = random_token(exchange.moment, exchange.answer.steps) if self.at_random else self.at_token
        await exchange.stream_until(token)
        answer = exchange.answer
        event = answer.error_event(self.shape, type_=self.type, code=self.code, message=self.message)
        await exchange.write(event + (answer.end if self.then_done else b""))
        await exchange.finish()

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_FAIL

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        token = random_token(moment, normal.tokens) if self.at_random else self.at_token
        return normal.stopped(token, "error_event")
