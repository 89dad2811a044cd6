"""One client connection: aiohttp's protocol, with three things added.

1. Flow control is pushed: when the transport's write buffer is full, or has drained, the answer in progress is told.
2. A connection that does not complete its first request's headers in time is closed (slow loris). Later requests on
   the same connection fall under aiohttp's keep-alive limit.
3. What aiohttp itself refuses (bad HTTP, absurd headers) is answered in OpenAI's error shape, and not logged as ours.
"""

import asyncio
from typing import Any, Protocol, cast

import anyio
import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from streamroute.server.replies import error_reply

_log = structlog.get_logger(__name__)

CLIENT_STALL_S = 60.0
"""How long a client may take nothing of what waits for it before its connection is cut: nginx's `send_timeout`."""
_FLUSH_POLL_S = 0.02
KEEPALIVE_TIMEOUT_S = 75.0
"""How long an idle connection is kept: nginx's `keepalive_timeout`."""


class Throttled(Protocol):
    """An answer that can be told to wait for its client."""

    def on_client_slow(self) -> None:
        """The write buffer is full."""

    def on_client_ready(self) -> None:
        """The write buffer has drained."""


class Connection(RequestHandler):
    """A client's connection."""

    def __init__(
        self, server: "web.Server", *, header_timeout_s: float, write_buffer_bytes: int, **kwargs: Any
    ) -> None:
        super().__init__(server, **kwargs)
        self._header_timeout_s = header_timeout_s
        self._write_buffer_bytes = write_buffer_bytes
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._unsent_at_check = 0
        self._has_drained = False
        self.answer: Throttled | None = None
        """The streamed answer in progress, if there is one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        cast(asyncio.Transport, transport).set_write_buffer_limits(high=self._write_buffer_bytes)
        self._header_timer = self._loop.call_later(self._header_timeout_s, self._headers_late)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See `asyncio.Protocol`."""
        self.headers_complete()
        if self._write_timer is not None:
            self._write_timer.cancel()
        super().connection_lost(exc)

    def headers_complete(self) -> None:
        """Stop the clock: a request has arrived."""
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().pause_writing()
        self.watch_unsent()
        if self.answer is not None:
            self.answer.on_client_slow()

    def watch_unsent(self) -> None:
        """See to it that what waits for the client does not wait for ever; call when something may be left unsent."""
        if self._write_timer is None and self.unsent_bytes > 0:
            self._unsent_at_check = self.unsent_bytes
            self._has_drained = False
            self._write_timer = self._loop.call_later(CLIENT_STALL_S, self._on_write_timer)

    @property
    def unsent_bytes(self) -> int:
        """What the transport still holds for the client."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def _on_write_timer(self) -> None:
        self._write_timer = None
        if self.transport is not None and not self._has_drained and self.unsent_bytes >= self._unsent_at_check:
            self.transport.abort()
        else:
            self.watch_unsent()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        self._has_drained = True
        if self.answer is not None:
            self.answer.on_client_ready()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what aiohttp refuses before our handler sees it; everything else is answered by the site."""
        self.headers_complete()
        text = "The request is not valid HTTP" if status < 500 else "The server failed"
        reason = (message or (str(exc) if status < 500 and exc is not None else "")).strip().splitlines()
        reply = error_reply(
            status,
            f"{text}: {reason[0][:200]}" if reason else f"{text}.",
            type_="invalid_request_error" if status < 500 else "server_error",
        )
        reply.headers["server"] = "streamroute"
        reply.force_close()
        return reply

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Log what broke outside of our handler, such as a body that cannot be decoded: it is the client's doing."""
        _log.debug("connection.broke", problem=str(args[0]) if args else "", exc_info=True)

    def _headers_late(self) -> None:
        self._header_timer = None
        self.force_close()


class ConnectionServer(web.Server):
    """aiohttp's low-level server, making `Connection`s."""

    def __init__(self, handler: Any, *, header_timeout_s: float, write_buffer_bytes: int, max_body_bytes: int) -> None:
        super().__init__(handler, handler_cancellation=True, request_factory=self._request)
        self._header_timeout_s = header_timeout_s
        self._write_buffer_bytes = write_buffer_bytes
        self._max_body_bytes = max_body_bytes

    def __call__(self) -> Connection:
        """Make the protocol of a new connection."""
        return Connection(
            self,
            header_timeout_s=self._header_timeout_s,
            write_buffer_bytes=self._write_buffer_bytes,
            loop=self._loop,
            keepalive_timeout=KEEPALIVE_TIMEOUT_S,
            access_log=None,
            lingering_time=2.0,
        )

    async def flushed(self) -> None:
        """Return once every client has been sent what was written for it."""
        # Transports tell when they run full, not when they are empty.
        while any(isinstance(each, Connection) and each.unsent_bytes for each in self.connections):  # noqa: ASYNC110
            await anyio.sleep(_FLUSH_POLL_S)

    def _request(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=self._max_body_bytes
        )
