"""Streams as a client sees them: keep-alives, slow readers, what is forwarded and what is not."""

import asyncio

import pytest

from streamroute.core.upstream import Deadlines
from streamroute.server.options import ServerOptions
from streamroute.simulation.faults import ErrorStatus, NoResponse, SlowFirstToken, Stall
from streamroute.simulation.profile import Profile
from streamroute.simulation.text import expected_text
from tests.support.rig import PROMPT, Rig, read_stream
from tests.support.rig import Reply as StreamReply

PATIENT = Deadlines(headers_s=5.0, first_token_s=5.0, stall_s=5.0)


async def test_keep_alives_before_and_between_tokens() -> None:
    """Silence is filled with comments, between whole events only, also before anyone has answered."""
    server = ServerOptions(keepalive_s=0.03)
    async with Rig.of(Stall(at_token=4, for_s=0.15), server=server, deadlines=PATIENT) as rig:
        reply = await rig.ask(stream=True)
        assert reply.comments >= 3
        assert (reply.text, reply.is_done) == (rig.expected_text, True)
    async with Rig.of(SlowFirstToken(ttft_s=0.15), server=server, deadlines=PATIENT) as rig:
        reply = await rig.ask(stream=True)
        assert reply.comments >= 3
        assert (reply.text, reply.is_done) == (rig.expected_text, True)


async def test_failure_after_an_early_head_is_an_event() -> None:
    """Once the head is out, the status cannot change: the error comes as the stream's last event."""
    async with Rig.of(NoResponse(), server=ServerOptions(keepalive_s=0.03)) as rig:
        reply = await rig.ask(stream=True)
        assert reply.status == 200
        assert reply.comments >= 3
        assert reply.error is not None
        assert not reply.is_done


async def test_keep_alives_can_be_turned_off() -> None:
    """Some clients read comments as JSON."""
    async with Rig.of(Stall(at_token=4, for_s=0.05), server=ServerOptions(keepalive_s=0), deadlines=PATIENT) as rig:
        assert (await rig.ask(stream=True)).comments == 0


async def test_usage_only_for_those_who_asked() -> None:
    """The upstream is always asked; the client sees usage only if it did."""
    async with Rig.of(None) as rig:
        reply = await rig.ask(stream=True)
        assert not any(event.get("usage") for event in reply.events)
        reply = await rig.ask(stream=True, stream_options={"include_usage": True})
        assert reply.events[-1]["choices"] == []
        assert reply.events[-1]["usage"]
        for record in rig.providers[0].log:
            assert record.body is not None
            assert record.body["stream_options"] == {"include_usage": True}


async def test_unknown_fields_are_forwarded() -> None:
    """Whatever comes next at OpenAI reaches the provider; our own headers do not."""
    async with Rig.of(None) as rig:
        headers = {"x-streamroute-timeout": "9", "openai-beta": "x=v1", "Authorization": "Bearer mine", "Cookie": "a=b"}
        await rig.ask(stream=True, headers=headers, from_the_future={"deep": [1, None, "é"]})
        record = rig.providers[0].log[0]
    assert record.body is not None
    assert record.body["from_the_future"] == {"deep": [1, None, "é"]}
    assert record.body["model"] == "model-a"
    assert record.headers["openai-beta"] == "x=v1"
    assert not {"x-streamroute-timeout", "authorization", "cookie"} & set(record.headers)


async def test_a_disconnect_cancels_the_upstream() -> None:
    """A client that leaves frees everything, within 100 ms."""
    async with Rig.of(Stall(at_token=4), deadlines=PATIENT) as rig:
        body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
        response = await rig.session.post(f"{rig.app.url}/v1/chat/completions", json=body)
        await response.content.readany()
        loop = asyncio.get_running_loop()
        left_at = loop.time()
        response.close()
        await rig.settled()
        closed_at = rig.providers[0].log[0].client_closed_at
        assert closed_at is not None
        assert closed_at - left_at < 0.1
        assert rig.in_flight() == [0]


@pytest.mark.parametrize("stall_s", [0.05])
async def test_a_slow_client_is_not_a_slow_provider(stall_s: float) -> None:
    """A client that does not read stops the upstream, within bounded memory, and is no stall; then it gets the rest."""
    tokens = 9000
    server = ServerOptions(max_write_buffer_bytes=16 * 1024)
    deadlines = Deadlines(stall_s=stall_s)
    async with Rig.of(None, server=server, deadlines=deadlines, profile=Profile(tokens=tokens)) as rig:
        host, port = rig.app.address
        reader, writer = await asyncio.open_connection(host, port, limit=4096)
        body = b'{"model":"chat","stream":true,"n":4,"messages":[{"role":"user","content":"%b"}]}' % PROMPT.encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        provider = rig.providers[0]
        await provider.wait_until(lambda: provider.in_flight == 1)
        loop = asyncio.get_running_loop()
        until = loop.time() + 6 * stall_s
        while loop.time() < until:  # noqa: ASYNC110 - nothing happens: that is the point
            await asyncio.sleep(0)
        assert provider.in_flight == 1, "the provider must still be waiting for us to read"
        async with asyncio.timeout(20):
            raw = await reader.read()
        writer.close()
        reply = StreamReply(200, {})
        read_stream(_unchunked(raw.partition(b"\r\n\r\n")[2]), reply)
        assert reply.is_done, reply.error
        texts = dict.fromkeys(range(4), "")
        for event in reply.events:
            for choice in event["choices"]:  # type: ignore[attr-defined]
                texts[choice["index"]] += choice["delta"].get("content") or ""
        assert texts == {i: expected_text(PROMPT, tokens, i) for i in range(4)}
        await rig.settled()


def _unchunked(raw: bytes) -> bytes:
    body = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size, 16)
        body, raw = body + raw[:length], raw[length + 2 :]
        if length == 0:
            return body
    raise AssertionError("the body was cut")


async def test_headers_of_a_stream() -> None:
    """What proxies and people need, on every stream."""
    async with Rig.of(ErrorStatus(), None) as rig:
        reply = await rig.ask(stream=True, headers={"x-request-id": "mine-1"})
    headers = reply.headers
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-request-id"] == "mine-1"
    assert (headers["x-streamroute-upstream"], headers["x-streamroute-provider"]) == ("b", "b")
    assert headers["x-streamroute-attempts"] == "2"
    assert [part.partition(";")[0].strip() for part in headers["server-timing"].split(",")] == [
        "route",
        "connect",
        "ttft",
    ]
