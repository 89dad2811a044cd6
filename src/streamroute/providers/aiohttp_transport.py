"""`Transport` on aiohttp's client.

aiohttp hands a body out through coroutines, which costs a task wake-up per block. Here the connection's protocol
tells the exchange after each `data_received`, which takes what the response has buffered and passes it on by a plain
call: one block per read from the socket, however many HTTP chunks that held.

aiohttp internals in use, all behind the contract suite: `TCPConnector._factory` (to supply the protocol class), and of
that class's base `_reading_paused`, `_pause_transport_reading` and `_resume_transport_reading`.
"""

import asyncio
import errno
import io
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

import aiohttp
import anyio
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.tracing import Trace

from streamroute.errors import TransportError, TransportKind
from streamroute.providers.transport import ExchangeHandler, HttpRequest, ResponseHead

KEEPALIVE_S = 60.0
"""How long an idle connection is kept: shorter than the 75 s and more of common servers and load balancers, so that
a pooled connection is rarely one that the provider is about to close."""
STALE_AFTER_S = 1.0
"""A pooled connection that breaks before the response, after it lay idle for longer than this, had been closed by the
provider while idle: the shortest keep-alive limit of common servers is 2 s (gunicorn)."""
_LARGE_BODY_BYTES = 1 << 20
"""aiohttp writes larger bodies in pieces only when they come as a file."""
_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL})
"""This machine has no file descriptor, buffer or port left: no provider is to blame."""
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)

_connecting: ContextVar["weakref.ref[AiohttpExchange] | None"] = ContextVar("connecting", default=None)
"""The exchange that a task is getting a connection for. Weak: a connection keeps a copy of the context in which it was
made for as long as it lives, and must not keep a request alive with it."""


class _Protocol(ResponseHandler):
    """A connection that tells its exchange when something has arrived."""

    exchange: "AiohttpExchange | None" = None
    idle_since: float | None = None
    """Monotonic seconds; None for a connection that has not served an exchange yet."""

    is_held = False
    """The exchange has asked not to read on; aiohttp's own flow control must not overrule that."""

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        # aiohttp calls this for every chunk that is read, and feeds its parser each time.
        if self._reading_paused and not self.is_held:
            super().resume_reading(resume_parser)

    def hold(self) -> None:
        """Stop reading from the socket; the parser is left alone.

        aiohttp's `pause_reading` called between reads makes its C parser stop at the next block, and keep the rest
        until more arrives: which may be never.
        """
        self.is_held = True
        self._pause_transport_reading()

    def release(self) -> None:
        """Read on."""
        self.is_held = False
        if self._reading_paused:
            super().resume_reading()
        else:
            self._resume_transport_reading()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.exchange is not None:
            self.exchange.pump(self.exception())
        if self.exchange is None and self.idle_since is not None and self.should_close:
            self.close()  # it says more than it was asked for: the next request must not take that for its answer

    def connection_lost(self, exc: BaseException | None) -> None:
        exchange = self.exchange
        super().connection_lost(exc)
        if exchange is not None:
            exchange.pump(self.exception() or aiohttp.ServerDisconnectedError())


class _Connector(aiohttp.TCPConnector):
    """A connector that tells the exchange when it has a connection."""

    async def connect(  # aiohttp's signature
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        waiting, protocol = _connecting.get(), connection.protocol
        exchange = waiting() if waiting is not None else None
        if exchange is not None and isinstance(protocol, _Protocol):
            exchange.connected(protocol)
        return connection


class AiohttpTransport:
    """Carries exchanges over one pool of connections for all providers. Create it within the running loop."""

    def __init__(self, connector: Callable[[], aiohttp.TCPConnector] | None = None) -> None:
        """`connector` makes another connector, for event loops that have no real sockets."""
        self._connector = connector() if connector is not None else _Connector(limit=0, keepalive_timeout=KEEPALIVE_S)
        factory = partial(_Protocol, loop=asyncio.get_running_loop())
        self._connector._factory = factory  # type: ignore[assignment]  # noqa: SLF001 - see the module's text
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=_NO_TIMEOUT,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    def exchange(self, request: HttpRequest, handler: ExchangeHandler) -> "AiohttpExchange":
        """Prepare an exchange."""
        return AiohttpExchange(self._session, request, handler)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class AiohttpExchange:
    """One request and its response; see `providers.transport` for what is promised."""

    __slots__ = (
        "__weakref__", "_handler",
        "_has_more", "_idle_s", "_is_over", "_is_pumping", "_loop", "_over", "_protocol", "_request", "_response",
        "_scope", "_session",
    )  # fmt: skip

    def __init__(self, session: aiohttp.ClientSession, request: HttpRequest, handler: ExchangeHandler) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._request = request
        self._handler = handler
        self._protocol: _Protocol | None = None
        self._response: aiohttp.ClientResponse | None = None
        self._over = self._loop.create_future()
        self._scope: anyio.CancelScope | None = None  # made in `run`: exchanges are made by plain callbacks
        self._idle_s: float | None = None
        self._is_over = False
        self._is_pumping = False
        self._has_more = False

    async def run(self) -> None:
        """Send the request, wait for the head, then for the end; blocks of the body arrive by `pump`."""
        if self._is_over:
            return
        _connecting.set(weakref.ref(self))  # the task is ours: nobody else reads its context
        try:
            with anyio.CancelScope() as self._scope:
                await self._perform()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._fail(error)
        finally:
            self._end()
            if self._response is not None:
                self._response.close()  # without effect where the body is complete and the connection given back

    async def _perform(self) -> None:
        body = self._request.body
        response = self._response = await self._session.request(
            self._request.method,
            self._request.url,
            data=io.BytesIO(body) if len(body) > _LARGE_BODY_BYTES else body or None,
            headers=self._request.headers,
            allow_redirects=False,
        )
        if self._is_over:
            return
        self._handler.on_head(ResponseHead(status=response.status, headers=response.headers))
        self.pump()
        await self._over

    def connected(self, protocol: _Protocol) -> None:
        """Take note of the connection."""
        self._protocol = protocol
        protocol.exchange = self
        if protocol.idle_since is not None:
            self._idle_s = self._loop.time() - protocol.idle_since
        if not self._is_over:
            self._handler.on_connected()

    def pump(self, broken: BaseException | None = None) -> None:
        """Pass on what has arrived since the last call; `broken`: no more will, unless the body is complete.

        Reading can make more arrive, by a nested call.
        """
        response = self._response
        if response is None or self._is_over:
            return
        if self._is_pumping:
            self._has_more = True
            return
        content = response.content
        self._is_pumping = self._has_more = True
        try:
            while self._has_more and not self._over.done():
                self._has_more = False
                if (error := content.exception()) is not None:
                    self._fail(error)
                    return
                if data := content.read_nowait(-1):
                    self._handler.on_body(data)
                if content.at_eof():
                    self._complete()
                elif broken is not None:
                    self._fail(broken)
        finally:
            self._is_pumping = False

    def _complete(self) -> None:
        if not self._over.done():  # else the handler has aborted
            self._end()
            self._handler.on_end()

    def pause(self) -> None:
        """Stop reading."""
        if self._protocol is not None and not self._protocol.is_held:
            self._protocol.hold()

    def resume(self) -> None:
        """Read on."""
        if self._protocol is not None and self._protocol.is_held:
            self._protocol.release()

    def abort(self) -> None:
        """Close the connection; `run` returns."""
        if self._is_over:
            return
        self._end()
        if self._response is not None:
            self._response.close()
        elif self._scope is not None:
            self._scope.cancel()

    def _fail(self, error: BaseException) -> None:
        if self._is_over:
            return
        failure = _translate(error, is_connected=self._protocol is not None)
        if failure == "reset" and self._response is None and (self._idle_s or 0.0) > STALE_AFTER_S:
            failure = "stale_connection"
        self._end()
        self._handler.on_error(TransportError(failure, _describe(error)))

    def _end(self) -> None:
        self._is_over = True
        if self._protocol is not None:
            self._protocol.exchange = None
            self.resume()
            self._protocol.idle_since = self._loop.time()
            self._protocol = None
        if not self._over.done():
            self._over.set_result(None)


def _translate(error: BaseException, *, is_connected: bool) -> TransportKind:
    """Tell foreign exceptions apart by what had been reached."""
    if not is_connected:
        return "local_limit" if getattr(error, "errno", None) in _LOCAL else "connect_error"
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError | ValueError):
        return "malformed"
    return "reset"


def _describe(error: BaseException) -> str:
    """Say what happened in one line, without the request's headers (aiohttp's errors can carry them)."""
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        return f"the response is not valid HTTP: {error.message.splitlines()[0][:200] if error.message else ''}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError):
        return "the provider closed the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:300]
