"""What every `Transport` promises, against a server that writes raw bytes. A new transport is a row in `TRANSPORTS`."""

import asyncio
import errno
import gc
import gzip
import socket
import struct
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from streamroute.errors import TransportError
from streamroute.providers import aiohttp_transport
from streamroute.providers.aiohttp_transport import AiohttpTransport
from streamroute.providers.transport import Exchange, HttpRequest, ResponseHead, Transport

TRANSPORTS: dict[str, Callable[[], Transport]] = {"aiohttp": AiohttpTransport}

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
BOUND_S = 5.0


class RawServer:
    """Reads one request at a time and lets the script answer it."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.connections = 0
        self.requests: list[bytes] = []
        self.closed = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
                if b"transfer-encoding: chunked" in lines:
                    body = await reader.readuntil(b"0\r\n\r\n")
                else:
                    body = await reader.readexactly(length)
                self.requests.append(head + body)
                await self._script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed.set()
            writer.close()


class Recorder:
    """An `ExchangeHandler` that remembers what it was told, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.head: ResponseHead | None = None
        self.body = b""
        self.error: TransportError | None = None
        self.exchange: Exchange | None = None
        self.abort_at: str | None = None
        self.told = asyncio.Event()

    def _tell(self, call: str) -> None:
        if not (call == "body" and self.calls[-1:] == ["body"]):
            self.calls.append(call)
        self.told.set()
        if call == self.abort_at and self.exchange is not None:
            self.exchange.abort()

    def on_connected(self) -> None:
        self._tell("connected")

    def on_head(self, head: ResponseHead) -> None:
        self.head = head
        self._tell("head")

    def on_body(self, data: bytes) -> None:
        assert data, "blocks are never empty"
        self.body += data
        self._tell("body")

    def on_end(self) -> None:
        self._tell("end")

    def on_error(self, error: TransportError) -> None:
        self.error = error
        self._tell("error")

    async def until(self, call: str) -> None:
        async with asyncio.timeout(BOUND_S):
            while call not in self.calls:
                self.told.clear()
                await self.told.wait()


@pytest.fixture(params=TRANSPORTS)
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    transport = TRANSPORTS[request.param]()
    yield transport
    await transport.aclose()


@asynccontextmanager
async def raw_server(script: Script) -> AsyncIterator[RawServer]:
    server = RawServer(script)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


def sends(*pieces: bytes, then: str = "wait") -> Script:
    """Write the pieces one by one, then `wait` for the next request, `close` or `reset`."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if then == "close":
            writer.close()
        elif then == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    return script


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer nothing until the client goes away."""
    await reader.read(1)


def prepare(transport: Transport, port: int, *, body: bytes = b"{}", path: str = "/") -> Recorder:
    recorder = Recorder()
    request = HttpRequest(url=f"http://127.0.0.1:{port}{path}", headers={"X-Test": "yes"}, body=body)
    recorder.exchange = transport.exchange(request, recorder)
    return recorder


async def perform(transport: Transport, port: int, **more: object) -> Recorder:
    recorder = prepare(transport, port, **more)  # type: ignore[arg-type]
    assert recorder.exchange is not None
    async with asyncio.timeout(BOUND_S):
        await recorder.exchange.run()
    return recorder


async def test_whole_response(transport: Transport) -> None:
    """Callbacks come in their order, and the body whole."""
    async with raw_server(sends(OK + b"Content-Length: 5\r\nX-A: 1\r\n\r\nhello")) as server:
        recorder = await perform(transport, server.port, body=b'{"a":1}')
    assert recorder.calls == ["connected", "head", "body", "end"]
    assert recorder.body == b"hello"
    assert recorder.head is not None
    assert (recorder.head.status, recorder.head.headers["x-a"]) == (200, "1")
    assert server.requests[0].endswith(b'{"a":1}')
    assert b"X-Test: yes" in server.requests[0]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_body_in_any_pieces(transport: Transport, size: int) -> None:
    """However the bytes arrive, the body is the same."""
    raw = CHUNKED + b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n"
    async with raw_server(sends(*(raw[i : i + size] for i in range(0, len(raw), size)))) as server:
        recorder = await perform(transport, server.port)
    assert recorder.calls == ["connected", "head", "body", "end"]
    assert recorder.body == b"hello world"


@pytest.mark.parametrize("raw", [b"HTTP/1.1 204 No Content\r\n\r\n", OK + b"Content-Length: 0\r\n\r\n"])
async def test_no_body(transport: Transport, raw: bytes) -> None:
    """A response without a body ends after its head."""
    async with raw_server(sends(raw)) as server:
        recorder = await perform(transport, server.port)
    assert recorder.calls == ["connected", "head", "end"]


async def test_body_until_close(transport: Transport) -> None:
    """A body without a length ends with the connection."""
    async with raw_server(sends(OK + b"Connection: close\r\n\r\n", b"all of it", then="close")) as server:
        recorder = await perform(transport, server.port)
    assert recorder.calls[-1] == "end"
    assert recorder.body == b"all of it"


async def test_interim_response_is_skipped(transport: Transport) -> None:
    """1xx responses are not the response (RFC 9110, section 15.2)."""
    raw = b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok"
    async with raw_server(sends(raw)) as server:
        recorder = await perform(transport, server.port)
    assert recorder.head is not None
    assert (recorder.head.status, recorder.body) == (200, b"ok")


async def test_content_coding_is_removed(transport: Transport) -> None:
    """Providers that compress unasked are read all the same."""
    packed = gzip.compress(b"plain")
    raw = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
    async with raw_server(sends(raw)) as server:
        recorder = await perform(transport, server.port)
    assert recorder.body == b"plain"


async def test_large_request_body(transport: Transport) -> None:
    """Large prompts arrive whole."""
    async with raw_server(sends(OK + b"Content-Length: 0\r\n\r\n")) as server:
        recorder = await perform(transport, server.port, body=b"x" * (3 << 20))
    assert recorder.calls[-1] == "end"
    assert server.requests[0].count(b"x") >= 3 << 20


async def test_redirects_are_not_followed(transport: Transport) -> None:
    """A redirect is a response like any other: following it could send the key elsewhere."""
    async with raw_server(sends(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")) as server:
        recorder = await perform(transport, server.port)
    assert recorder.head is not None
    assert recorder.head.status == 302
    assert len(server.requests) == 1


async def test_no_cookies(transport: Transport) -> None:
    """Nothing a provider sets comes back with the next request."""
    async with raw_server(sends(OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")) as server:
        await perform(transport, server.port)
        await perform(transport, server.port)
    assert b"cookie" not in server.requests[1].lower()


# -- failures


async def test_refused(transport: Transport) -> None:
    """Nobody listens: nothing was processed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        recorder = await perform(transport, unused.getsockname()[1])
    assert recorder.calls == ["error"]
    assert recorder.error is not None
    assert recorder.error.failure == "connect_error"


@pytest.mark.parametrize(
    ("pieces", "then", "calls", "failure"),
    [
        ((b"",), "reset", ["connected", "error"], "reset"),
        ((b"",), "close", ["connected", "error"], "reset"),
        ((OK,), "close", ["connected", "error"], "reset"),
        ((OK + b"Content-Length: 9\r\n\r\n", b"half"), "close", ["connected", "head", "body", "error"], "reset"),
        ((CHUNKED, b"4\r\nhalf\r\n"), "close", ["connected", "head", "body", "error"], "reset"),
        ((CHUNKED, b"4\r\nhalf\r\n", b"zz\r\n"), "wait", ["connected", "head", "body", "error"], "malformed"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n\r\n",), "wait", ["connected", "error"], "malformed"),
        ((OK + b"X-Long: " + b"x" * 70_000 + b"\r\n\r\n",), "wait", ["connected", "error"], "malformed"),
    ],
    ids=["reset", "close", "half a head", "half a body", "no last chunk", "bad chunk", "no http", "long header"],
)
async def test_broken(
    transport: Transport, pieces: tuple[bytes, ...], then: str, calls: list[str], failure: str
) -> None:
    """What breaks is told once, after everything that had arrived."""
    async with raw_server(sends(*pieces, then=then)) as server:
        recorder = await perform(transport, server.port)
    assert recorder.calls == calls
    assert recorder.error is not None
    assert recorder.error.failure == failure
    assert recorder.body in {b"", b"half"}


async def test_stale_connection(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooled connection that the provider closed while it was idle is told apart: nothing was processed."""
    monkeypatch.setattr(aiohttp_transport, "STALE_AFTER_S", -1.0)

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Content-Length: 2\r\n\r\nok")
        await reader.read(1)  # the next request has begun to arrive
        writer.transport.abort()

    async with raw_server(once) as server:
        first = await perform(transport, server.port)
        second = await perform(transport, server.port)
    assert first.calls[-1] == "end"
    assert second.error is not None
    assert second.error.failure == "stale_connection"


# -- pooling


async def test_connections_are_reused(transport: Transport) -> None:
    """A complete exchange gives its connection back; an aborted one does not."""
    async with raw_server(sends(CHUNKED + b"2\r\nok\r\n", b"0\r\n\r\n")) as server:
        await perform(transport, server.port)
        await perform(transport, server.port)
        assert server.connections == 1
    async with raw_server(sends(CHUNKED + b"2\r\nok\r\n")) as server:
        for _ in range(2):
            recorder = prepare(transport, server.port)
            recorder.abort_at = "head"
            assert recorder.exchange is not None
            await recorder.exchange.run()
        assert server.connections == 2


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_second_response_is_nobodys(transport: Transport, is_late: bool) -> None:
    """What a provider says unasked, with its answer or on an idle connection, is not the next request's answer."""
    good, unasked = OK + b"Content-Length: 2\r\n\r\nok", OK + b"Content-Length: 5\r\n\r\nwrong"
    said = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(good if is_late else good + unasked)
        await writer.drain()
        if is_late:
            await said.wait()
            writer.write(unasked)

    async with raw_server(script) as server, asyncio.timeout(BOUND_S):
        assert (await perform(transport, server.port)).body == b"ok"
        said.set()
        await server.closed.wait()
        assert (await perform(transport, server.port)).body == b"ok"
    assert server.connections == 2


async def test_a_pooled_connection_keeps_nothing_alive(transport: Transport) -> None:
    """What is over can be freed: a connection that waits in the pool holds no request, prompt or answer."""
    async with raw_server(sends(OK + b"Content-Length: 2\r\n\r\nok")) as server:
        recorder = await perform(transport, server.port)
        remains = weakref.ref(recorder)
        del recorder
        gc.collect()
        assert remains() is None


async def test_out_of_file_descriptors(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own shortage is told apart from a provider that cannot be reached."""

    def refuse(*args: object, **kwargs: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    async with raw_server(silence) as server:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", refuse)
            recorder = await perform(transport, server.port)
    assert recorder.error is not None
    assert recorder.error.failure == "local_limit"


# -- ending early


async def test_abort_before_run(transport: Transport) -> None:
    """Nothing is sent, nothing is told."""
    async with raw_server(silence) as server:
        recorder = prepare(transport, server.port)
        assert recorder.exchange is not None
        recorder.exchange.abort()
        await recorder.exchange.run()
    assert (recorder.calls, server.connections) == ([], 0)


@pytest.mark.parametrize("at", ["connected", "head", "body"])
async def test_abort_within_a_callback(transport: Transport, at: str) -> None:
    """No callback follows, and the provider sees the connection close."""
    raw = CHUNKED + b"5\r\nhello\r\n"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await reader.read(1)

    async with raw_server(script) as server:
        recorder = prepare(transport, server.port)
        recorder.abort_at = at
        assert recorder.exchange is not None
        async with asyncio.timeout(BOUND_S):
            await recorder.exchange.run()
            await server.closed.wait()
    assert recorder.calls[-1] == at


@pytest.mark.parametrize("ending", ["abort", "cancel"])
@pytest.mark.parametrize("script", [silence, sends(CHUNKED + b"5\r\nhello\r\n")], ids=["silent", "flowing"])
async def test_end_from_outside(transport: Transport, script: Script, ending: str) -> None:
    """Abort and cancellation end an exchange in any phase: `run` returns, nothing is told, the connection closes."""
    async with raw_server(script) as server, asyncio.timeout(BOUND_S):
        recorder = prepare(transport, server.port)
        assert recorder.exchange is not None
        async with asyncio.TaskGroup() as group:
            task = group.create_task(recorder.exchange.run())
            await recorder.until("connected" if script is silence else "body")
            told = list(recorder.calls)
            if ending == "abort":
                recorder.exchange.abort()
                recorder.exchange.abort()
            else:
                task.cancel()
        await server.closed.wait()
    assert recorder.calls == told
    assert task.cancelled() is (ending == "cancel")


# -- flow control


async def test_pause_between_small_blocks(transport: Transport) -> None:
    """A pause that comes between two reads loses nothing and leaves nothing behind."""
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"1\r\na\r\n")
        await go_on.wait()
        writer.write(b"1\r\nb\r\n1\r\nc\r\n1\r\nd\r\n0\r\n\r\n")

    async with raw_server(script) as server, asyncio.timeout(BOUND_S):
        recorder = prepare(transport, server.port)
        assert recorder.exchange is not None
        async with asyncio.TaskGroup() as group:
            group.create_task(recorder.exchange.run())
            await recorder.until("body")
            recorder.exchange.pause()
            go_on.set()
            for _ in range(50):
                await asyncio.sleep(0)
            assert recorder.body == b"a"
            recorder.exchange.resume()
    assert recorder.body == b"abcd"
    assert recorder.calls == ["connected", "head", "body", "end"]


async def test_pause_and_resume(transport: Transport) -> None:
    """While paused hardly anything is read, so the provider must wait; afterwards everything arrives."""
    total = 24 << 20
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(OK + b"Content-Length: %d\r\n\r\n" % total)
        while written < total:
            writer.write(b"x" * 65536)
            written += 65536
            await writer.drain()

    async with raw_server(flood) as server, asyncio.timeout(BOUND_S * 2):
        recorder = prepare(transport, server.port)
        assert recorder.exchange is not None
        async with asyncio.TaskGroup() as group:
            group.create_task(recorder.exchange.run())
            await recorder.until("body")
            recorder.exchange.pause()
            recorder.exchange.pause()
            stuck = -1
            while stuck != written:  # until the provider gets no further
                stuck = written
                for _ in range(200):
                    await asyncio.sleep(0)
            assert len(recorder.body) < 4 << 20
            assert written < total
            recorder.exchange.resume()
    assert len(recorder.body) == total
    assert recorder.calls == ["connected", "head", "body", "end"]
