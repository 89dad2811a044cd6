"""Ways in which providers once got around the promise, each on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import orjson
import pytest

from streamroute.core.upstream import Deadlines, ProviderName
from streamroute.server import connection
from streamroute.server.options import ServerOptions
from streamroute.simulation.faults import ErrorStatus, NoResponse, RateLimit, SlowFirstToken
from streamroute.simulation.profile import Profile
from tests.support.rig import PROMPT, QUICK, Rig

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, object], finish: str | None = None, **more: object) -> bytes:
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + orjson.dumps(body) + b"\n\n"


def whole(body: object, status: int = 200) -> bytes:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(raw)) + raw


@asynccontextmanager
async def raw_first(*pieces: bytes, every_s: float = 0.0, tiers: tuple[str, ...] = ()) -> AsyncIterator[Rig]:
    """A rig: its preferred provider writes these bytes, a piece every `every_s`; its backup or larger model is well."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                if every_s:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(loop.create_future(), every_s)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener, Rig.of(None, None, deadlines=QUICK, tiers=tiers) as rig:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
        name = ProviderName("a")
        providers = {**rig.app.config.providers, name: replace(rig.app.config.providers[name], base_url=url)}
        await rig.app.reload(replace(rig.app.config, providers=providers))
        yield rig


async def test_a_large_event_is_not_dropped() -> None:
    """A picture in a delta of some megabytes reaches the client; it was once dropped and the answer called whole."""
    picture = "A" * (3 << 20)
    pieces = [
        chunk({"content": "Look: "}),
        chunk({"images": [picture]}),
        chunk({"content": "!"}),
        chunk({}, "stop"),
        DONE,
    ]
    async with raw_first(STREAM + b"".join(pieces)) as rig:
        reply = await rig.ask(stream=True)
    assert reply.is_done
    assert any(choice["delta"].get("images") == [picture] for each in reply.events for choice in each["choices"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_body_that_drips(stream: bool) -> None:
    """A 500 whose body comes byte by byte is a 500 all the same: the backup answers within the deadlines."""
    head = b"HTTP/1.1 500 X\r\nContent-Length: 1000\r\n\r\n"
    async with raw_first(head, *[b"x"] * 100, every_s=0.05) as rig:
        reply = await rig.ask(stream=stream)
        assert (reply.text, reply.headers["x-streamroute-upstream"]) == (rig.expected_text, "b")


async def test_json_that_drips_where_a_stream_was_asked() -> None:
    """It makes no progress towards a first token."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    async with raw_first(head, *[b" "] * 100, every_s=0.05) as rig:
        reply = await rig.ask(stream=True)
        assert (reply.text, reply.headers["x-streamroute-upstream"]) == (rig.expected_text, "b")


@pytest.mark.parametrize("content", ["Half an ans", ""])
async def test_a_whole_answer_that_broke_on_the_way(content: str) -> None:
    """OpenRouter's shape: HTTP 200, half a text, `finish_reason: error`."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content},
        "finish_reason": "error",
        "error": {"code": 502, "message": "Provider disconnected"},
    }
    async with raw_first(whole({"choices": [choice]})) as rig:
        reply = await rig.ask(stream=False)
        assert (reply.text, reply.headers["x-streamroute-upstream"]) == (rig.expected_text, "b")


@pytest.mark.parametrize(("status", "told"), [(400, 400), (500, 200)])
async def test_half_an_emoji_in_an_error(status: int, told: int) -> None:
    """A complaint that quotes half a surrogate pair is passed on or replaced, and no defect of ours."""
    body = b'{"error":{"message":"cannot read \\ud83d","type":"x","param":"\\ud83d","code":null}}'
    async with raw_first(whole(body, status)) as rig:
        reply = await rig.ask(stream=True)
        assert reply.status == told
        if told == 400:
            assert reply.error is not None
            assert str(reply.error["message"]).startswith("cannot read")


async def test_half_an_emoji_in_an_error_event() -> None:
    """The same within a stream: one error event, then the end."""
    event = b'data: {"error":{"message":"cannot read \\ud83d"}}\n\n'
    async with raw_first(STREAM + chunk({"content": "Hi"}), event, every_s=0.05) as rig:
        reply = await rig.ask(stream=True, headers={"x-streamroute-midstream": "error"})
        assert (reply.status, reply.text, reply.is_done) == (200, "Hi", False)
        assert reply.error is not None


async def test_usage_may_come_late() -> None:
    """What follows the finish reason is waited for as long as a token would be."""
    pieces = (
        STREAM + chunk({"content": "Hi"}),
        chunk({}, "stop"),
        b"",
        chunk({}, usage={"total_tokens": 1}),
        DONE,
    )
    async with raw_first(*pieces, every_s=0.1) as rig:
        reply = await rig.ask(stream=True, stream_options={"include_usage": True})
        assert reply.is_done
        assert reply.events[-1]["usage"] == {"total_tokens": 1}


async def test_empties_after_the_end() -> None:
    """A stream that is whole and goes on without content ends after the stall limit, not after the total one."""
    tail = [chunk({})] * 60
    async with raw_first(STREAM + chunk({"content": "Hi"}), chunk({}, "stop"), *tail, every_s=0.05) as rig:
        loop = asyncio.get_running_loop()
        began = loop.time()
        reply = await rig.ask(stream=True)
        assert (reply.text, reply.is_done) == ("Hi", True)
        assert loop.time() - began < 1.5


async def test_errors_in_a_list() -> None:
    """Gemini's compatible endpoint wraps its errors in a list; a key that is refused is not the client's fault."""
    async with raw_first(
        whole([{"error": {"code": 400, "message": "API key not valid. Please pass one."}}], 400)
    ) as rig:
        reply = await rig.ask(stream=True)
        assert (reply.text, reply.headers["x-streamroute-upstream"]) == (rig.expected_text, "b")


async def test_flagged_input_is_a_refusal() -> None:
    """A 403 for what was said is the client's to hear; it does not take the upstream away from others."""
    error = {"code": 403, "message": "Your input was flagged", "metadata": {"reasons": ["violence"]}}
    async with raw_first(whole({"error": error}, 403)) as rig:
        assert (await rig.ask(stream=True)).status == 403
        assert rig.requests == [0, 0]
        async with rig.session.get(f"{rig.app.url}/status") as response:
            assert (await response.json())["upstreams"]["a"]["standing"] == "healthy"


# -- what one client did to others


async def test_an_impatient_client_is_no_evidence() -> None:
    """A client's own limit opens no breaker for everybody."""
    async with Rig.of(SlowFirstToken(ttft_s=0.1), deadlines=Deadlines()) as rig:
        for _ in range(5):
            reply = await rig.ask(stream=True, headers={"x-streamroute-ttft-timeout": "0.02"})
            assert reply.status == 503
        assert (await rig.ask(stream=True)).text == rig.expected_text
        async with rig.session.get(f"{rig.app.url}/status") as response:
            assert (await response.json())["upstreams"]["a"]["breaker"]["state"] == "closed"


async def test_a_rate_limit_that_ended_meanwhile() -> None:
    """A backup that had to wait when the request came may be asked once its time is over."""
    async with Rig.of(NoResponse(), RateLimit(retry_after_s=0.1, form="ms")) as rig:
        assert (await rig.ask(stream=True, model="b")).status == 429
        rig.providers[1].play(None)
        reply = await rig.ask(stream=True)  # `a` hangs for longer than `b` must wait
        assert (reply.text, reply.headers["x-streamroute-upstream"]) == (rig.expected_text, "b")


async def test_what_could_not_be_asked_is_named() -> None:
    """The error says who must still wait, and lets the client come back."""
    async with Rig.of(RateLimit(retry_after_s=20), ErrorStatus()) as rig:
        await rig.ask(stream=True, model="a")
        reply = await rig.ask(stream=True)
        assert reply.error is not None
        assert [each["upstream"] for each in reply.error["attempts"]] == ["b", "a"]  # type: ignore[index,attr-defined]
        assert "x-should-retry" not in reply.headers


async def test_long_names_are_refused() -> None:
    """A name of megabytes is not remembered, compared or repeated."""
    async with Rig.of(None) as rig:
        reply = await rig.ask(stream=True, model="a/" + "x" * 300_000)
        assert (reply.status, reply.error and reply.error["param"]) == (400, "model")


async def test_web_pages_of_others_may_not_call() -> None:
    """A POST of text needs no preflight: any page could spend the user's money."""
    async with Rig.of(None) as rig:
        reply = await rig.ask(stream=True, headers={"Origin": "https://evil.example", "Content-Type": "text/plain"})
        assert (reply.status, reply.error and reply.error["code"]) == (403, "origin_not_allowed")
        assert rig.requests == [0]


async def test_a_client_that_reads_slowly_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """However full its buffer is when one looks: as long as it drains, the answer goes on."""
    monkeypatch.setattr(connection, "CLIENT_STALL_S", 0.2)
    server = ServerOptions(max_write_buffer_bytes=16 * 1024)
    async with Rig.of(None, profile=Profile(tokens=9000), server=server, deadlines=Deadlines()) as rig:
        reader, writer = await asyncio.open_connection(*rig.app.address, limit=4096)
        body = b'{"model":"chat","stream":true,"n":4,"messages":[{"role":"user","content":"%b"}]}' % PROMPT.encode()
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        received = b""
        async with asyncio.timeout(20):
            while data := await reader.read(65536):
                received = received[-64:] + data
                for _ in range(20):
                    await asyncio.sleep(0)
        writer.close()
        assert received.endswith(b"0\r\n\r\n")


async def test_a_client_that_never_reads_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for it is given up after a while, and its socket with it."""
    monkeypatch.setattr(connection, "CLIENT_STALL_S", 0.1)
    async with Rig.of(None, profile=Profile(tokens=9000)) as rig:
        _, writer = await asyncio.open_connection(*rig.app.address, limit=1024)
        body = b'{"model":"chat","stream":true,"n":8,"messages":[{"role":"user","content":"%b"}]}' % PROMPT.encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        provider = rig.providers[0]
        await provider.wait_until(lambda: len(provider.log) == 1 and provider.log[0].ended_at is not None)
        await rig.settled()
        writer.close()


async def test_a_held_answer_that_breaks_its_judge() -> None:
    """It is worth nothing, and the larger model answers: a number too large for a float once ended the request."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Four."}, "finish_reason": "stop"}
    body = orjson.dumps({"choices": [{**choice, "logprobs": {"content": [{"token": "x", "logprob": "HUGE"}]}}]})
    async with raw_first(whole(body.replace(b'"HUGE"', b"1" + b"0" * 400)), tiers=("a", "b")) as rig:
        reply = await rig.ask(stream=False)
        assert (reply.text, reply.headers["x-streamroute-upstream"]) == (rig.expected_text, "b")
