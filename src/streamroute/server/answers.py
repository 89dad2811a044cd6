"""The two sinks of an answer: a stream of server-sent events, and a whole body.

The stream is written straight to the client's transport, head, HTTP chunk and all, in one write per block: aiohttp's
response objects would cost a task wake-up for each. aiohttp gets `Written` back, which tells it that the reply is on
the wire. Three rules:

1. The head is sent with the first content, so that it names who answers; a keep-alive that comes earlier sends it
   without that, and a failure after it is an event, not a status.
2. Comments go out only between whole events.
3. `[DONE]` is written by `finish` and by nobody else.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import quote

from aiohttp import HttpVersion11, web

from streamroute.core.execution.commands import Fail
from streamroute.engine.sink import AnswerHead, FlowControl, PartialAnswer
from streamroute.server.connection import Connection
from streamroute.server.failure import FailureReply, failure_reply
from streamroute.wire.openai_chat.errors import encode_error_event
from streamroute.wire.openai_chat.stream import DONE_EVENT

KEEPALIVE_COMMENT = b": keep-alive\n\n"
_SSE_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


def answer_headers(head: AnswerHead) -> dict[str, str]:
    """Say who answered and what the waiting consisted of."""
    timing = [f"route;dur={head.route_s * 1000:.2f}"]
    if head.connect_s is not None:
        timing.append(f"connect;dur={head.connect_s * 1000:.2f}")
    timing.append(f"ttft;dur={head.ttft_s * 1000:.2f}")
    made_up = {"x-streamroute-simulated": "true"} if head.is_simulated else {}
    return {
        **made_up,
        "x-streamroute-upstream": _header_value(head.upstream),
        "x-streamroute-provider": head.provider,
        "x-streamroute-attempts": str(head.attempts),
        "server-timing": ", ".join(timing),
    }


def _header_value(text: str) -> str:
    """Escape what would end a header or cannot be in one: `provider/model` is in the client's words."""
    return text if text.isascii() and text.isprintable() else quote(text, safe="/:@")


class Written(web.StreamResponse):
    """A reply that is on the wire already."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._is_kept_alive = keep_alive

    @property
    def keep_alive(self) -> bool:
        """Whether the connection can serve another request."""
        return self._is_kept_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Do nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing."""


class StreamAnswer:
    """An `AnswerSink` that streams to one client."""

    def __init__(self, request: web.BaseRequest, *, model: str, headers: Mapping[str, str], keepalive_s: float) -> None:
        self._connection = request.protocol
        self._transport = request.transport
        self._model = model
        self._headers = {**_SSE_HEADERS, **headers}
        self._is_chunked = request.version >= HttpVersion11
        self._is_kept_alive = self._is_chunked and request.keep_alive
        self._flow: FlowControl | None = None
        self._pending = b""
        self._is_started = False
        self._keepalive_s = keepalive_s
        self._loop = asyncio.get_running_loop()
        self._written_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.failure: FailureReply | None = None
        """Set where the answer failed before anything was sent: the reply is still to be made."""

    @property
    def reply(self) -> Written:
        """What aiohttp is told when all is over."""
        return Written(keep_alive=self._is_kept_alive)

    def open(self) -> None:
        """Listen to the connection, and keep it alive from now on."""
        if isinstance(self._connection, Connection):
            self._connection.answer = self
        if self._keepalive_s > 0:
            self._timer = self._loop.call_later(self._keepalive_s, self._on_silence)

    def close(self) -> None:
        """Let go of the connection, on every path."""
        if isinstance(self._connection, Connection):
            self._connection.answer = None
            self._connection.watch_unsent()
        self._stop_timer()

    def break_off(self) -> bool:
        """End at once after a defect of ours; return whether anything had been sent, and so nothing more can be."""
        if self._is_started and self._transport is not None:
            self._is_kept_alive = False
            self._transport.abort()  # a body without its end is the one thing that no client takes for whole
        return self._is_started

    # -- AnswerSink

    def attach(self, flow: FlowControl) -> None:
        """See `AnswerSink`."""
        self._flow = flow

    def begin(self, head: AnswerHead) -> None:
        """See `AnswerSink`."""
        if not self._is_started:
            self._start(answer_headers(head))
        if isinstance(self._connection, Connection) and self._connection.writing_paused:
            self.on_client_slow()  # it has yet to read an earlier answer on this connection

    def write(self, data: bytes) -> None:
        """See `AnswerSink`. This is the data path."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return  # the handler is about to be cancelled
        if self._is_chunked:
            data = b"%b%x\r\n%b\r\n" % (self._pending, len(data), data)
        elif self._pending:
            data = self._pending + data
        self._pending = b""
        self._written_at = self._loop.time()
        transport.write(data)

    def finish(self) -> None:
        """See `AnswerSink`."""
        self._last(DONE_EVENT)

    def fail(self, fail: Fail, attempts: int, partial: PartialAnswer | None) -> None:
        """See `AnswerSink`."""
        failure = failure_reply(fail, attempts=attempts, model=self._model, partial=partial)
        if self._is_started:
            self._last(encode_error_event(failure.body))
        else:
            self.failure = failure

    # -- Throttled

    def on_client_slow(self) -> None:
        """Read no more from the upstream."""
        if self._flow is not None:
            self._flow.pause()

    def on_client_ready(self) -> None:
        """Read on."""
        if self._flow is not None:
            self._flow.resume()

    # -- steps

    def _start(self, more: Mapping[str, str]) -> None:
        self._is_started = True
        lines = [f"{name}: {value}" for name, value in {**self._headers, **more}.items()]
        lines.append("transfer-encoding: chunked" if self._is_chunked else "connection: close")
        if self._is_chunked and not self._is_kept_alive:
            lines.append("connection: close")
        self._pending = ("HTTP/1.1 200 OK\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _last(self, data: bytes) -> None:
        self._stop_timer()
        self.write(data)
        if self._is_chunked and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"0\r\n\r\n")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_silence(self) -> None:
        now = self._loop.time()
        due = self._written_at + self._keepalive_s
        if now >= due:
            if not self._is_started:
                self._start({})
            self.write(KEEPALIVE_COMMENT)
            due = now + self._keepalive_s
        self._timer = self._loop.call_at(due, self._on_silence)


class WholeAnswer:
    """An `AnswerSink` that takes the whole body."""

    def __init__(self, *, model: str) -> None:
        self._model = model
        self.head: AnswerHead | None = None
        self.body = b""
        self.failure: FailureReply | None = None

    def attach(self, flow: FlowControl) -> None:
        """See `AnswerSink`."""

    def begin(self, head: AnswerHead) -> None:
        """See `AnswerSink`."""
        self.head = head

    def write(self, data: bytes) -> None:
        """See `AnswerSink`."""
        self.body += data

    def finish(self) -> None:
        """See `AnswerSink`."""

    def fail(self, fail: Fail, attempts: int, partial: PartialAnswer | None) -> None:
        """See `AnswerSink`."""
        self.failure = failure_reply(fail, attempts=attempts, model=self._model)
