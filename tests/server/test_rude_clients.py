"""Clients that send nonsense: a 4xx in OpenAI's shape or a closed connection, never a 500, never a stuck worker."""

import asyncio
import gzip
from collections.abc import AsyncIterator

import orjson
import pytest

from streamroute.server.options import ServerOptions
from streamroute.simulation.profile import Profile
from tests.support.rig import Rig

GOOD = orjson.dumps({"model": "chat", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2})
MIB = 1 << 20
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
MODELS = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    server = ServerOptions(header_timeout_s=0.3, body_timeout_s=0.3)
    async with Rig.of(None, server=server, profile=Profile(tokens=2)) as rig:
        yield rig


def post(body: bytes, extra: bytes = b"") -> bytes:
    return CHAT + extra + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(size: int) -> bytes:
    pieces = b"".join(b"%x\r\n%b\r\n" % (MIB, b"y" * MIB) for _ in range(size // MIB))
    return CHAT + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"


async def talk(rig: Rig, raw: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes and read until the server has nothing more to say or closes; bounded to five seconds."""
    reader, writer = await asyncio.open_connection(*rig.app.address)
    received = b""
    try:
        async with asyncio.timeout(5):
            writer.write(raw)
            if half_close:
                writer.write_eof()
            while not _is_whole(received) and (data := await reader.read(65536)):
                received += data
    except ConnectionError:
        pass
    finally:
        writer.close()
    return received


def _is_whole(received: bytes) -> bool:
    head, found, body = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths and len(body) >= int(lengths[0]))


NONSENSE = {
    "truncated json": post(b'{"model":'),
    "nul bytes": post(b"\x00\x00\x00"),
    "invalid utf-8": post(b'{"model":"\xff\xfe"}'),
    "no body": post(b""),
    "deep nesting": post(b"[" * 100_000),
    "deep nesting in a field": post(GOOD[:-1] + b',"a":' + b"[" * 600 + b"]" * 600 + b"}"),
    "a list": post(b"[]"),
    "null": post(b"null"),
    "model is a number": post(b'{"model":1,"messages":[{}]}'),
    "model is missing": post(b'{"messages":[{}]}'),
    "model with nul": post(b'{"model":"a\\u0000b","messages":[{}]}'),
    "messages are text": post(b'{"model":"chat","messages":"x"}'),
    "messages are numbers": post(b'{"model":"chat","messages":[1]}'),
    "no messages": post(b'{"model":"chat","messages":[]}'),
    "stream is text": post(b'{"model":"chat","messages":[{}],"stream":"yes"}'),
    "n is zero": post(b'{"model":"chat","messages":[{}],"n":0}'),
    "n is huge": post(b'{"model":"chat","messages":[{}],"n":1000000000}'),
    "max_tokens is text": post(b'{"model":"chat","messages":[{}],"max_tokens":"a"}'),
    "stream_options is a number": post(b'{"model":"chat","messages":[{}],"stream_options":1}'),
    "unknown model": post(b'{"model":"chta","messages":[{}]}'),
    "not gzip": post(b"plain", b"Content-Encoding: gzip\r\n"),
    "gzip bomb": post(gzip.compress(b'{"model":"' + b"a" * (100 * MIB)), b"Content-Encoding: gzip\r\n"),
    "33 MiB": post(b"x" * (33 * MIB)),
    "33 MiB in chunks": chunked(33 * MIB),
    "33 MiB announced": CHAT + b"Content-Length: 34603008\r\n\r\n",
    "header of 100 kB": MODELS + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "a thousand headers": MODELS + b"".join(b"X%d: a\r\n" % i for i in range(1000)) + b"\r\n",
    "nul in a header": MODELS + b"X: a\x00b\r\n\r\n",
    "folded header": MODELS + b"X: a\r\n b\r\n\r\n",
    "length and chunks": CHAT + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": CHAT + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "negative length": CHAT + b"Content-Length: -5\r\n\r\n",
    "bare line feeds": b"GET /v1/models HTTP/1.1\nHost: x\n\n",
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "HTTP/2.0": b"GET /v1/models HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "unknown method": b"FOO /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
    "wrong method": b"DELETE /v1/chat/completions HTTP/1.1\r\nHost: x\r\n\r\n",
    "unknown path": b"GET /%00%ff/../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    "bad timeout header": post(GOOD, b"x-streamroute-timeout: soon\r\n"),
    "timeout header of Python": post(GOOD, b"x-streamroute-timeout: 1_0\r\n"),
    "endless timeout header": post(GOOD, b"x-streamroute-timeout: inf\r\n"),
    "bad attempts header": post(GOOD, b"x-streamroute-max-attempts: 0\r\n"),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense(rig: Rig, name: str) -> None:
    """It is refused in OpenAI's shape, nobody is asked, and the next client is served."""
    reply = await talk(rig, NONSENSE[name])
    if not reply:
        assert name == "TLS", "aiohttp's parser written in Python waits for a line to end, until the header timeout"
        return
    head, _, body = reply.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    assert 400 <= status < 500, reply[:300]
    error = orjson.loads(body)["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    assert error["message"]
    assert rig.requests == [0]
    assert b"200 OK" in await talk(rig, post(GOOD))


async def test_refusals_name_the_field(rig: Rig) -> None:
    """`param` says what to correct, the message what was found."""
    _, _, body = (await talk(rig, NONSENSE["n is zero"])).partition(b"\r\n\r\n")
    error = orjson.loads(body)["error"]
    assert error["param"] == "n"
    assert "from 1 to 128" in error["message"]


async def test_slow_headers(rig: Rig) -> None:
    """A connection whose headers never end is closed (slow loris)."""
    assert await talk(rig, b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""
    assert b"200 OK" in await talk(rig, post(GOOD))


async def test_slow_body(rig: Rig) -> None:
    """A body that never ends is answered 408."""
    reply = await talk(rig, CHAT + b"Content-Length: 100\r\n\r\n{")
    assert reply.startswith(b"HTTP/1.1 408")


async def test_idle_connections_cost_no_worker(rig: Rig) -> None:
    """Many silent connections do not keep others from being served."""
    silent = [await asyncio.open_connection(*rig.app.address) for _ in range(50)]
    assert b"200 OK" in await talk(rig, post(GOOD))
    for _, writer in silent:
        writer.close()


async def test_half_closed_client(rig: Rig) -> None:
    """A client that closes its side has gone, as far as anyone can tell: nothing is left in flight."""
    await talk(rig, post(GOOD), half_close=True)
    await rig.settled()
    assert rig.in_flight() == [0]


async def test_http_1_0_stream(rig: Rig) -> None:
    """A client that knows no chunks gets the stream until the connection closes."""
    body = GOOD[:-1] + b',"stream":true}'
    raw = b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    reply = await talk(rig, raw)
    head, _, stream = reply.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert b"connection: close" in head
    assert stream.startswith(b"data: {")
    assert stream.endswith(b"data: [DONE]\n\n")


async def test_pipelined_requests(rig: Rig) -> None:
    """Requests sent without waiting are answered in order."""
    reader, writer = await asyncio.open_connection(*rig.app.address)
    writer.write(post(GOOD) + MODELS + b"\r\n" + post(b"{"))
    received = b""
    async with asyncio.timeout(5):
        while received.count(b"HTTP/1.1 ") < 3:
            received += await reader.read(65536)
    writer.close()
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"400"]


async def test_expect_continue(rig: Rig) -> None:
    """curl asks before it sends a large body."""
    reply = await talk(rig, post(GOOD, b"Expect: 100-continue\r\n"))
    assert reply.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
