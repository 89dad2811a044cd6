"""Good requests with seeded damage: a reply by HTTP's rules or a closed connection, never a 500, nothing left behind.

The same runs once more with aiohttp's parser that is written in Python, which is what runs where no wheel fits.
"""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest

from streamroute.server.options import ServerOptions
from streamroute.simulation.profile import Profile
from tests.support.raw_http import CHAT, GOOD, MODELS, post, talk
from tests.support.rig import Rig

REQUESTS = 250
AT_ONCE = 50
PATHS = (b"GET /v1/models/chat", b"GET /readyz?verbose", b"GET /status", b"OPTIONS /v1/models")
WHOLE = [
    post(GOOD),
    post(GOOD[:-1] + b',"stream":true}'),
    post(GOOD, b"x-streamroute-timeout: 5\r\nx-request-id: abc\r\nopenai-beta: x\r\nAuthorization: Bearer k\r\n"),
    CHAT + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD),
    MODELS + b"\r\n",
    *(path + b" HTTP/1.1\r\nHost: x\r\nOrigin: a\r\nAccess-Control-Request-Headers: b\r\n\r\n" for path in PATHS),
]
# fmt: off
PIECES = [
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b":", b"\t", b"\xff", b"\xc3\xa9", b"%", b"%zz", b"#", b"//", b"*", b"?a=b",
    b"HTTP/1.0", b"HTTP/9.9", b"OPTIONS", b"HEAD", b"CONNECT", b"TRACE", b"http://x/v1/models", b"http://[::1/",
    b"Content-Length: 3\r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: xchunked\r\n", b"Expect: 100-continue\r\n",
    b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Content-Encoding: br\r\n",
    b"Content-Encoding: deflate\r\n", b"Host: a\r\nHost: b\r\n", b"x-streamroute-timeout: -1\r\n", b"\\u0000",
    b"\\ud800", b"1e999", b"NaN", b"[", b"]", b"{", b"}", b'"', b"null", b",", b'"stream":true,', b'"n":3,',
]
FIELDS = (
    "model", "messages", "stream", "n", "stream_options", "max_tokens", "max_completion_tokens", "tools", "functions",
    "response_format", "stop", "seed", "logprobs", "tool_choice", "unknown",
)
VALUES: list[object] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64 - 1, -(2**63), 1e308, 1.5, "", "x", "\0", "é" * 300, [], {}, [[]],
    [{}], {"a": 1}, [None], {"role": "user"}, [{"role": "user", "content": [{"type": "image_url"}]}],
    [{"role": "user", "content": [{"type": []}]}], [{"content": [{"type": {}}]}], {"type": "json_schema"},
    {"include_usage": "yes"}, {"include_usage": True}, "chat", "a", "a/", "/a", "a/b/c", "a/\0", "chat\n", "-" * 99_999,
]
# fmt: on


def damaged(rng: random.Random) -> bytes:
    """Insert, drop, replace and repeat bytes anywhere."""
    raw = bytearray(rng.choice(WHOLE))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(5):
            case 0 | 1:
                raw[at:at] = rng.choice(PIECES)
            case 2:
                del raw[at : at + rng.randint(1, 8)]
            case 3:
                raw[at : at + rng.randint(0, 6)] = rng.choice(PIECES)
            case _:
                raw[at:at] = raw[at : at + 100]
    return bytes(raw)


def wrong_fields(rng: random.Random) -> bytes:
    """Leave HTTP and JSON well, and put values into fields that they do not belong in."""
    body = orjson.loads(GOOD)
    for _ in range(rng.randint(1, 3)):
        body[rng.choice(FIELDS)] = rng.choice(VALUES)
    return post(orjson.dumps(body))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    server = ServerOptions(header_timeout_s=0.2, body_timeout_s=0.2, cors_origins=("*",))
    async with Rig.of(None, server=server, profile=Profile(tokens=2)) as rig:
        yield rig


@pytest.mark.parametrize("mutate", [damaged, wrong_fields])
async def test_mutated_requests(rig: Rig, mutate: Callable[[random.Random], bytes]) -> None:
    """Every reply is whole and none is a 500; errors have OpenAI's shape; the next client is served."""
    rng = random.Random(20_26)
    slots = asyncio.Semaphore(AT_ONCE)

    async def send(raw: bytes) -> None:
        async with slots:
            reply = await talk(*rig.app.address, raw)
        if reply is None:
            return
        assert reply.status != 500, raw
        if reply.status >= 400 and reply.body:
            assert set(reply.json["error"]) >= {"message", "type", "param", "code"}, raw

    async with asyncio.TaskGroup() as tasks:
        for _ in range(REQUESTS):
            tasks.create_task(send(mutate(rng)))
    await rig.settled()
    assert rig.in_flight() == [0]
    good = await talk(*rig.app.address, post(GOOD))
    assert good is not None
    assert good.status == 200
    async with asyncio.timeout(5):
        while rig.app._protocols.connections:  # noqa: ASYNC110 - gone a few rounds after their sockets
            await asyncio.sleep(0)


@pytest.mark.parametrize("type_", [[], {}, 1, None, "new"])
async def test_parts_of_no_known_type(rig: Rig, type_: object) -> None:
    """A part of a message that we do not know is the provider's to judge, whatever its type is."""
    messages = [{"role": "user", "content": [{"type": type_}]}]
    reply = await talk(*rig.app.address, post(orjson.dumps({"model": "chat", "messages": messages})))
    assert reply is not None
    assert reply.status == 200, reply.body
    assert rig.providers[0].log[-1].body is not None
    assert rig.providers[0].log[-1].body["messages"] == messages


@pytest.mark.slow
def test_all_of_it_without_the_compiled_parser() -> None:
    """The tests of this folder's rude clients hold for the parser written in Python as well."""
    here = Path(__file__).parent
    files = [here / name for name in ("test_mutated_requests.py", "test_hostile_headers.py", "test_rude_clients.py")]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, files)],
        env={**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"},
        cwd=here.parents[1],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:]
