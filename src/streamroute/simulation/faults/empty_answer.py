"""Fault `empty_answer`: success by every sign, and nothing in it."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, Severity
from streamroute.simulation.timeline import Timeline, TimelineEnding


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyAnswer:
    """Status 200 without any content."""

    kind: ClassVar[str] = "empty_answer"
    shape: Literal["no_content", "no_choices", "no_events", "no_body"] = "no_content"
    """`no_content`: a complete answer whose text is empty, finish reason `stop`. `no_choices`: an answer with
    `choices: []`. `no_events`: a stream that only says `[DONE]` (not streamed: `{}`). `no_body`: Content-Length 0."""

    async def play(self, exchange: Exchange) -> None:
        """Answer, saying nothing."""
        answer = exchange.answer = exchange.answer.emptied()
        await exchange.pace_whole()
        match self.shape:
            case "no_content":
                await exchange.answer_normally()
            case "no_choices" if exchange.is_stream:
                await exchange.open_stream()
                await exchange.write(answer.stream_without_choices())
                await exchange.finish()
            case "no_choices":
                await exchange.send(200, answer.without_choices())
            case "no_events" if exchange.is_stream:
                await exchange.open_stream()
                await exchange.write(answer.end)
                await exchange.finish()
            case "no_events":
                await exchange.send(200, b"{}")
            case "no_body":
                kind = "text/event-stream; charset=utf-8" if exchange.is_stream else "application/json"
                await exchange.send(200, b"", content_type=kind)

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_FAIL

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        if self.shape == "no_content" and normal.is_stream:  # no role is missing there, and no wait for a token either
            return replace(normal, head_s=normal.ttft_s, ttft_s=None, ends_at_token=0)
        ending: TimelineEnding = "done" if self.shape in {"no_content", "no_choices"} else "eof"
        return replace(normal, head_s=normal.ttft_s, ttft_s=None, ends_at_token=0, has_role=False, ending=ending)
