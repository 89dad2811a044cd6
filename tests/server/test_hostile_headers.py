"""What clients put into headers, paths and names ends in no header of ours, in no provider's bad name and in no 500."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import orjson
import pytest

from streamroute.server.options import ServerOptions
from streamroute.simulation.faults import Cut
from streamroute.simulation.profile import Profile
from tests.support.raw_http import GOOD, RawClient, post, talk
from tests.support.rig import Rig

SPLITTING = (
    "a/x\r\nset-cookie: evil=1",
    "a/x\nset-cookie: evil=1",
    "a/x\x00y",
    "a/x\r\n\r\n<script>",
    "a/\x7f",
    "a/möd€l",
)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with Rig.of(None, None, server=ServerOptions(cors_origins=("*",)), profile=Profile(tokens=2)) as rig:
        yield rig


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", SPLITTING, ids=ascii)
async def test_a_model_name_does_not_split_the_response(rig: Rig, model: str, stream: bool) -> None:
    """`provider/model` takes any name, and the header that repeats it is escaped."""
    body = orjson.dumps({**orjson.loads(GOOD), "model": model, "stream": stream})
    reply = await talk(*rig.app.address, post(body))
    assert reply is not None
    assert reply.status == 200
    assert reply.headers["x-streamroute-upstream"] == quote(model, safe="/:@")
    assert "set-cookie" not in reply.headers
    assert rig.providers[0].log[-1].model == model.removeprefix("a/")
    again = await talk(*rig.app.address, post(GOOD))
    assert again is not None
    assert set(reply.headers) - set(again.headers) <= {"cache-control", "x-accel-buffering", "transfer-encoding"}


@pytest.mark.parametrize("name", ["openai-beta", "anthropic-beta", "traceparent", "tracestate"])
async def test_forwarded_headers_are_ascii(rig: Rig, name: str) -> None:
    """Bytes that cannot be sent on are refused: in an attempt they would count against every upstream in turn."""
    reply = await talk(*rig.app.address, post(GOOD, name.encode() + b": a\xe9\xff\r\n"))
    assert reply is not None
    assert reply.status == 400
    assert f"`{name}`" in reply.json["error"]["message"]
    assert rig.requests == [0, 0]


@pytest.mark.parametrize("name", ["x-streamroute-max-attempts", "x-streamroute-attempt"])
@pytest.mark.parametrize("value", ["9" * 5000, "0", "101", "1.5", "-1", "²", "٣", "0x1", ""])
async def test_attempts_headers(rig: Rig, name: str, value: str) -> None:
    """Anything but a small number is refused with what was found, shortened."""
    reply = await talk(*rig.app.address, post(GOOD, f"{name}: {value}\r\n".encode()))
    assert reply is not None
    assert reply.status == 400
    assert len(reply.body) < 500
    assert rig.requests == [0, 0]


async def test_preflight_repeats_only_header_names(rig: Rig) -> None:
    """What a preflight asks for is repeated where it can stand in a header."""
    for asked, allowed in ((b"authorization, x-a", "authorization, x-a"), (b"x-\xe9\xff", "*")):
        raw = b"OPTIONS /v1/models HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n"
        reply = await talk(*rig.app.address, raw + b"Access-Control-Request-Headers: " + asked + b"\r\n\r\n")
        assert reply is not None
        assert reply.status == 204
        assert reply.headers["access-control-allow-headers"] == allowed


@pytest.mark.parametrize(
    "path", [b"/v1/\xff\xfe", b"/v1/models/\xe9", b"/v1/models/%ff%00", b"/%", b"//", b"*", b"/?%zz"]
)
async def test_strange_paths(rig: Rig, path: bytes) -> None:
    """A path that is no text is refused like any other unknown one, or as bad HTTP."""
    reply = await talk(*rig.app.address, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply is not None
    assert reply.status in {400, 404}
    assert reply.json["error"]["message"]


async def test_strange_request_ids_are_replaced(rig: Rig) -> None:
    """A request id that could not be logged or sent back safely is not taken over."""
    for given in (b"a\xe9", b"a b", b"x" * 129, b"<script>"):
        reply = await talk(*rig.app.address, post(GOOD, b"x-request-id: " + given + b"\r\n"))
        assert reply is not None
        assert reply.headers["x-request-id"].startswith("req_")


async def test_wrong_keys_of_any_bytes() -> None:
    """A key that is no text is wrong like any other."""
    async with Rig.of(None, server=ServerOptions(api_keys=("right",))) as rig:
        for header in (
            b"Authorization: Bearer \xff\xfe",
            b"Authorization: \xe9",
            b"x-api-key: \xff",
            b"Authorization:",
        ):
            reply = await talk(*rig.app.address, post(GOOD, header + b"\r\n"))
            assert reply is not None
            assert (reply.status, reply.json["error"]["code"]) == (401, "invalid_api_key")
        assert rig.requests == [0]


async def test_connections_go_on_after_errors() -> None:
    """After a refusal, an error event and a HEAD the same connection serves the next request, framing intact."""
    async with Rig.of(Cut(at_token=4), None) as rig, RawClient.connected(*rig.app.address) as client:
        head = b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        stream = post(GOOD[:-1].replace(b'"max_tokens":2', b'"max_tokens":9') + b',"stream":true}')
        await client.send(head)
        status, headers = await client.head() or (0, {})
        assert (status, headers["content-length"]) == (200, "2")
        for raw, status in ((post(b"{"), 400), (stream, 200), (post(GOOD.replace(b"chat", b"b", 1)), 200)):
            await client.send(raw)
            reply = await client.reply()
            assert reply is not None
            assert reply.status == status, reply.body
        assert reply.json["choices"][0]["finish_reason"] == "stop"
