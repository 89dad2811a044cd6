"""One request in the hands of a fault: the few moves that good and bad answers are made of.

The rules of the file:

1. A fault calls these methods in the order in which things shall happen on the wire; each returns when its bytes are
   with the transport. With `tpot_s` 0 content is coalesced until the next wait, end or misbehaviour.
2. `reset`, `hang_up` and `hang` never return: the connection's end cancels the handler they run in.
3. All waiting is `anyio.sleep`, all times are loop time, so that a virtual clock controls them.
"""

import asyncio
import itertools
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import anyio
from aiohttp import web

from streamroute import clock
from streamroute.simulation.answer import Answer, AnswerEvent
from streamroute.simulation.format import Format
from streamroute.simulation.moment import Moment
from streamroute.simulation.pace import first_token_s
from streamroute.simulation.profile import Profile
from streamroute.simulation.record import RequestRecord
from streamroute.simulation.timeline import jitter_factor

_COALESCE_BYTES = 16 * 1024
"""What is gathered before one write; a TLS record, and what real servers send at once."""
_CATCH_UP_S = 0.05
"""A stream that was held up hurries by no more than this."""
_CLOSE_S = 5.0
"""A connection whose client does not read is aborted after this time instead of closed."""
_DRAIN_ROUNDS = 200
_DRAIN_ROUND_S = 0.005
"""A reset waits at most a second for a client that does not read."""
_LINGER_ZERO = struct.pack("ii", 1, 0)
_STREAM_TYPE = "text/event-stream; charset=utf-8"
_JSON_TYPE = "application/json"


class Exchange:
    """One request and the answer it would get; see the rules above."""

    def __init__(
        self,
        request: web.Request,
        answer: Answer,
        format_: Format,
        *,
        profile: Profile,
        moment: Moment,
        record: RequestRecord,
        headers: Mapping[str, str],
        on_progress: Callable[[], None],
    ) -> None:
        self.request = request
        self.answer = answer
        self.format = format_
        self.profile = profile
        """A fault may replace it before anything is sent."""
        self.moment = moment
        self.record = record
        self.headers = dict(headers)
        self.drip: tuple[int, float] | None = None
        """(bytes, seconds): everything is sent in pieces of this size with this pause between them."""
        self.response: web.StreamResponse | None = None
        self._on_progress = on_progress
        self._pending = bytearray()
        self._paced_steps = 0
        self._due = record.received_at

    @property
    def is_stream(self) -> bool:
        """Whether the client asked for a stream."""
        return self.answer.body.stream

    # Whole moves ----------------------------------------------------------------------------------------------------

    async def answer_normally(self) -> None:
        """Give the good answer, at the profile's pace, as a stream or whole."""
        if self.is_stream:
            await self.stream_rest(await self.stream_until(0))
        else:
            await self.pace_whole()
            await self.send(200, self.answer.whole())
            self._note_whole()

    async def send(
        self,
        status: int,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str = _JSON_TYPE,
    ) -> None:
        """Send one whole response with a Content-Length."""
        await self._open(status, {"Content-Type": content_type} | dict(headers or {}), length=len(body))
        await self.write(body)
        await self.finish()

    async def send_part(self, body: bytes, size: int, *, promise_length: bool = True) -> None:
        """Begin a whole response, of which only `size` bytes are sent; the caller then misbehaves."""
        await self._open(200, {"Content-Type": _JSON_TYPE}, length=len(body) if promise_length else None)
        await self.write(body[:size])
        await self.flush()

    async def stream_until(self, token: int) -> Iterator[AnswerEvent]:
        """Begin the stream and send it up to `token` content tokens, never the finish; return the events left."""
        await self.open_stream()
        events = self.answer.events()
        for event in events:
            is_due = event.kind == "role" or (event.kind == "content" and event.step < token)
            if not is_due:
                return itertools.chain((event,), events)
            await self.emit(event)
        return events

    async def stream_rest(self, events: Iterator[AnswerEvent]) -> None:
        """Send what is left and end the response."""
        for event in events:
            await self.emit(event)
        await self.finish()

    # Single moves ---------------------------------------------------------------------------------------------------

    async def open_stream(self, headers: Mapping[str, str] | None = None) -> None:
        """Send status 200 and the headers of a stream."""
        await self._open(200, {"Content-Type": _STREAM_TYPE, "Cache-Control": "no-cache"} | dict(headers or {}))

    async def emit(self, event: AnswerEvent) -> None:
        """Send one event of the answer when the profile says that it is due."""
        if event.kind == "content":
            if event.step >= self._paced_steps:
                await self._pace()
            self.record.tokens_sent += 1
            if self.record.first_token_at is None:
                self.record.first_token_at = clock.now()
        await self.write(event.data)

    async def write(self, data: bytes) -> None:
        """Send bytes of the body as they are."""
        self._pending += data
        if self.profile.tpot_s > 0 or len(self._pending) >= _COALESCE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Hand everything written so far to the transport."""
        if self.response is None or not self._pending:
            return
        data = bytes(self._pending)
        self._pending.clear()
        if self.drip is None:
            await self.response.write(data)
            self._on_progress()
            return
        size, interval_s = self.drip
        for start in range(0, len(data), size):
            await self.response.write(data[start : start + size])
            await anyio.sleep(interval_s)

    async def finish(self) -> None:
        """End the response correctly by HTTP's rules."""
        await self.flush()
        if self.response is not None:
            await self.response.write_eof()

    async def pace_whole(self, share: float = 1.0) -> None:
        """Wait as long as the good answer (or `share` of it, 0 to 1) would take as a stream."""
        for _ in range(max(1, round(self.answer.steps * share))):
            self._advance()
        await self._wait_until_due()

    async def reset(self) -> NoReturn:
        """Break the connection with a TCP RST, after what was written has left."""
        transport = await self._prepare_end()
        sock = transport.get_extra_info("socket") if transport is not None else None
        if sock is not None and isinstance(sock.fileno(), int):  # in memory there is none: an abort is all there is
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        await self._abort()

    async def hang_up(self) -> NoReturn:
        """Close the connection with a FIN, without the end of the body."""
        transport = await self._prepare_end()
        if transport is not None:
            transport.close()
            await anyio.sleep(_CLOSE_S)
        await self._abort()

    async def hang(self) -> NoReturn:
        """Send nothing more, until the client or the server closes."""
        await self.flush()
        await anyio.sleep_forever()
        raise AssertionError

    # ----------------------------------------------------------------------------------------------------------------

    async def _open(self, status: int, headers: Mapping[str, str], *, length: int | None = None) -> None:
        response = web.StreamResponse(status=status, headers=self.headers | dict(headers))
        if length is None:
            response.enable_chunked_encoding()
        else:
            response.content_length = length
        self.record.status = status
        self.response = response
        await response.prepare(self.request)
        self.record.first_byte_at = clock.now()
        self._on_progress()

    def _note_whole(self) -> None:
        self.record.tokens_sent = self.answer.output_tokens
        self.record.first_token_at = clock.now()

    async def _pace(self) -> None:
        self._advance()
        await self._wait_until_due()

    def _advance(self) -> None:
        step = self._paced_steps
        if step:
            factor = jitter_factor(self.profile.jitter, self.moment.seed, self.moment.draw, step)
            wait_s = self.profile.tpot_s * factor
        else:
            wait_s = first_token_s(self.profile, self.moment)
        self._paced_steps = step + 1
        self._due += wait_s

    async def _wait_until_due(self) -> None:
        now = clock.now()
        if self._due > now:
            await self.flush()
            await anyio.sleep(self._due - now)
        else:
            self._due = max(self._due, now - _CATCH_UP_S)

    async def _prepare_end(self) -> asyncio.Transport | None:
        """Note that we end it, and let the written bytes leave first: a reset discards what has not been sent."""
        await self.flush()
        self.record.ending = "fault"
        transport = self.request.transport
        if transport is None:
            return None
        for _ in range(_DRAIN_ROUNDS):
            if transport.is_closing() or not transport.get_write_buffer_size():
                break
            await anyio.sleep(_DRAIN_ROUND_S)
        return transport

    async def _abort(self) -> NoReturn:
        if self.request.transport is not None:
            self.request.transport.abort()
        await anyio.sleep_forever()
        raise AssertionError
