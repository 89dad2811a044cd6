"""Fault `malformed_event`: one bad event among good ones, which kills naive parsers."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import NO_HARM, Severity
from streamroute.simulation.timeline import Timeline

Shape = Literal["truncated", "not_json", "unbalanced", "raw", "binary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedEvent:
    """A bad event before content token `at_token`; the stream is otherwise good and nothing of the answer is missing.

    Not streamed: the same damage to the JSON body.
    """

    kind: ClassVar[str] = "malformed_event"
    at_token: int = 2
    """Content tokens before it, at least 0; beyond the answer it comes before the finish reason."""
    shape: Shape = "truncated"
    """`truncated`: `data:` with the first half of a chunk. `not_json`: `data:` with HTML. `unbalanced`: `data:` with a
    chunk and one closing brace too many. `raw`: a line of text that is no SSE field. `binary`: `data:` with NUL
    and bytes that are not UTF-8."""
    repeat: int = 1
    """How many in a row, at least 1."""

    def __post_init__(self) -> None:
        require(is_met=self.at_token >= 0, message=f"at_token must be at least 0, not {self.at_token}")
        require(is_met=self.repeat >= 1, message=f"repeat must be at least 1, not {self.repeat}")

    async def play(self, exchange: Exchange) -> None:
        """Answer well but for one event."""
        if exchange.is_stream:
            rest = await exchange.stream_until(self.at_token)
            good = exchange.answer.piece("MALFORMED").partition(b"data: ")[2].rstrip()
            for _ in range(self.repeat):
                await exchange.write(self._damaged(good))
            await exchange.stream_rest(rest)
        else:
            await exchange.pace_whole()
            await exchange.send(200, self._damaged(exchange.answer.whole()).removeprefix(b"data: ").rstrip())

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of streams: nothing of the answer is missing."""
        return NO_HARM

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        if normal.is_stream:
            return normal
        return replace(normal, ending="eof", ends_at_token=0)

    def _damaged(self, good: bytes) -> bytes:
        match self.shape:
            case "truncated":
                return b"data: " + good[: len(good) // 2] + b"\n\n"
            case "not_json":
                return b"data: <html><body>502 Bad Gateway</body></html>\n\n"
            case "unbalanced":
                return b"data: " + good + b"}\n\n"
            case "raw":
                return b"upstream connect error or disconnect before headers\n\n"
            case "binary":
                return b'data: {"choices":[\x00\xff\xfe]}\n\n'
