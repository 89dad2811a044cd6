"""Every fault on a real socket, streamed and whole, as a raw client sees it."""

import json
import socket
from email.utils import parsedate_to_datetime

import anyio
import pytest

from streamroute import clock
from streamroute.simulation.faults import (
    FAULTS,
    Cut,
    Drift,
    EmptyAnswer,
    ErrorStatus,
    Flapping,
    MalformedEvent,
    MissingDone,
    NoResponse,
    RateLimit,
    Reset,
    SlowDrip,
    SlowFirstToken,
    Stall,
    StreamError,
)
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.simulation.clients import PROMPT, RawAnswer, ask, chat

WHOLE = expected_text(PROMPT, 16)
both = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def first(count: int) -> str:
    return expected_text(PROMPT, count)


def is_good(answer: RawAnswer, *, stream: bool) -> bool:
    if stream:
        return (answer.end, answer.text, answer.finish_reasons) == ("eof", WHOLE, ["stop"])
    return answer.end == "eof" and answer.json["choices"][0]["message"]["content"] == WHOLE


@both
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503, 529])
async def test_error_status(status: int, *, stream: bool) -> None:
    """An error status comes with OpenAI's error object, for streams as for whole answers."""
    async with SimulationServer(ErrorStatus(status=status, retry_after_s=3)) as server:
        answer = await ask(server, chat(stream=stream))
        assert (answer.status, answer.headers["retry-after"]) == (status, "3")
        assert set(answer.json["error"]) == {"message", "type", "param", "code"}
        assert (server.log[0].fault, server.log[0].status, server.log[0].ending) == ("error_status", status, "fault")


@pytest.mark.parametrize("code", ["context_length_exceeded", "content_filter"])
async def test_error_status_codes_bring_their_message(code: str) -> None:
    """A known code needs nothing else in the script."""
    async with SimulationServer(ErrorStatus(status=400, code=code)) as server:
        error = (await ask(server, chat())).json["error"]
        assert (error["code"], error["type"]) == (code, "invalid_request_error")
        assert len(error["message"]) > 20


@pytest.mark.parametrize("body", ["html", "text", "empty"])
async def test_error_status_bodies_that_are_not_json(body: str) -> None:
    """Gateways in front of providers answer in other formats."""
    async with SimulationServer(ErrorStatus(status=502, body=body)) as server:
        answer = await ask(server, chat())
        assert answer.status == 502
        assert not answer.body.startswith(b"{")
        assert (answer.body == b"") == (body == "empty")


@both
async def test_rate_limit_forms(*, stream: bool) -> None:
    """Each form of saying how long to wait is sent as providers do."""
    async with SimulationServer(RateLimit(retry_after_s=1.5)) as server:
        answer = await ask(server, chat(stream=stream))
        assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"] == "2"
        server.play(RateLimit(retry_after_s=1.5, form="ms"))
        assert (await ask(server, chat(stream=stream))).headers["retry-after-ms"] == "1500"
        server.play(RateLimit(retry_after_s=60, form="date"))
        date = parsedate_to_datetime((await ask(server, chat(stream=stream))).headers["retry-after"])
        assert 55 < date.timestamp() - clock.wall() < 65
        server.play(RateLimit(form="none"))
        assert not {"retry-after", "retry-after-ms"} & set((await ask(server, chat(stream=stream))).headers)


@both
async def test_reset_before_headers(*, stream: bool) -> None:
    """The connection breaks with a RST and not one byte of response."""
    async with SimulationServer(Reset()) as server:
        answer = await ask(server, chat(stream=stream))
        assert (answer.status, answer.end) == (None, "reset")
        await server.wait_until(lambda: server.in_flight == 0)
        assert (server.log[0].ending, server.log[0].client_closed_at) == ("fault", None)


@both
@pytest.mark.parametrize("after", ["accept", "headers", "role"])
async def test_no_response(after: str, *, stream: bool) -> None:
    """Nothing comes after what `after` names, and the client's leaving is recorded."""
    async with SimulationServer(NoResponse(after=after)) as server:
        answer = await ask(server, chat(stream=stream), patience_s=0.15)
        assert answer.end == "open"
        assert answer.status == (None if after == "accept" else 200)
        assert len(answer.events) == (1 if stream and after == "role" else 0)
        await server.wait_until(lambda: server.in_flight == 0)
        assert server.log[0].ending == "client_closed"
        assert server.log[0].client_closed_at is not None


@both
@pytest.mark.parametrize("after", ["role", "accept"])
async def test_slow_first_token(after: str, *, stream: bool) -> None:
    """The first token is late by `ttft_s`, the answer whole; the role delta comes at once or late too."""
    async with SimulationServer(SlowFirstToken(ttft_s=0.1, after=after)) as server:
        answer = await ask(server, chat(stream=stream))
        assert is_good(answer, stream=stream)
        record = server.log[0]
        assert record.first_token_at - record.received_at >= 0.099
        if stream:
            assert (record.first_byte_at - record.received_at < 0.09) == (after == "role")


@both
async def test_drift(*, stream: bool) -> None:
    """Answers grow slower up to the factor, request by request."""
    profile = Profile(ttft_s=0.005)
    async with SimulationServer(Drift(factor=11, over_requests=2), profile=profile) as server:
        for _ in range(4):
            assert is_good(await ask(server, chat(stream=stream)), stream=stream)
        ttfts = [record.first_token_at - record.received_at for record in server.log]
        assert all(ttft >= least for ttft, least in zip(ttfts, [0.004, 0.029, 0.054, 0.054], strict=True))
        assert ttfts[0] < ttfts[2]


def test_drift_over_time_is_linear_and_ends() -> None:
    """Halfway through the time half of the slowdown is there; afterwards it stays."""
    fault = Drift(over_s=10)
    assert [fault.share(elapsed_s=at, ordinal=0) for at in (0, 5, 10, 99)] == [0, 0.5, 1, 1]


@both
async def test_stall(*, stream: bool) -> None:
    """After `at_token` tokens nothing comes, the connection stays open."""
    async with SimulationServer(Stall(at_token=3)) as server:
        answer = await ask(server, chat(stream=stream), patience_s=0.15)
        assert answer.end == "open"
        if stream:
            assert (answer.text, answer.finish_reasons) == (first(3), [])
        else:
            assert 0 < len(answer.body) < int(answer.headers["content-length"])


async def test_stall_with_signs_of_life() -> None:
    """Comments and empty deltas go on, and bring no content."""
    async with SimulationServer(Stall(at_token=3, alive="comments", every_s=0.005)) as server:
        answer = await ask(server, chat(stream=True), until=b": keep-alive\n\n: keep-alive\n\n")
        assert answer.text == first(3)
        server.play(Stall(at_token=2, alive="empty_deltas", every_s=0.005))
        answer = await ask(server, chat(stream=True), until=b'"delta":{"content":""}')
        assert answer.text == first(2)
        assert len(answer.events) >= 4


@both
async def test_stall_that_ends(*, stream: bool) -> None:
    """With `for_s` the rest of the answer comes after all."""
    async with SimulationServer(Stall(at_token=3, for_s=0.03)) as server:
        assert is_good(await ask(server, chat(stream=stream)), stream=stream)


@both
@pytest.mark.parametrize(("how", "end"), [("reset", "reset"), ("close", "close"), ("eof", "eof")])
@pytest.mark.parametrize("at_token", [0, 5])
async def test_cut(how: str, end: str, at_token: int, *, stream: bool) -> None:
    """The answer ends in the middle, in the way that was asked for, and what was sent before arrives."""
    async with SimulationServer(Cut(at_token=at_token, how=how)) as server:
        answer = await ask(server, chat(stream=stream))
        assert answer.end == end
        if stream:
            assert (answer.text, answer.finish_reasons) == (first(at_token), [])
            assert b"[DONE]" not in answer.body
        else:
            with pytest.raises(ValueError, match=r"JSON|Expecting|Extra data|decode|delimiter|Unterminated|Invalid"):
                json.loads(answer.body)
            assert answer.body
        await server.wait_until(lambda: server.in_flight == 0)
        assert server.log[0].ending == "fault"


def test_ends_are_the_same_on_uvloop() -> None:
    """The loop of production resets and closes as asyncio's does: its transports are of another class."""

    async def ends() -> list[tuple[str, int]]:
        found = []
        async with SimulationServer() as server:
            for fault in (Reset(), Cut(at_token=2), Cut(at_token=2, how="close"), Cut(at_token=2, how="eof")):
                server.play(fault)
                # A blocking socket in a thread, so that the server alone is on uvloop.
                found.append(await anyio.to_thread.run_sync(read_all, server.port, json.dumps(chat(stream=True))))
        return found

    assert anyio.run(ends, backend_options={"use_uvloop": True}) == [
        ("reset", 0),
        ("reset", 2),
        ("close", 2),
        ("close", 2),
    ]


def read_all(port: int, body: str) -> tuple[str, int]:
    """Return how the connection ended, and how many tokens came."""
    data = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.sendall((head + body).encode())
        try:
            while block := client.recv(65536):
                data += block
        except ConnectionResetError:
            return "reset", data.count(b' "}')
    return "close", data.count(b' "}')


async def test_cut_beyond_the_answer_comes_before_its_finish() -> None:
    """A late cut still leaves the finish reason out: it is never a good answer by accident."""
    async with SimulationServer(Cut(at_token=99, how="close")) as server:
        answer = await ask(server, chat(stream=True))
        assert (answer.end, answer.text, answer.finish_reasons) == ("close", WHOLE, [])


@both
@pytest.mark.parametrize("shape", ["truncated", "not_json", "unbalanced", "raw", "binary"])
async def test_malformed_event(shape: str, *, stream: bool) -> None:
    """One event cannot be decoded, all the others make up the whole answer; a whole body cannot be decoded."""
    async with SimulationServer(MalformedEvent(shape=shape, at_token=2, repeat=2)) as server:
        answer = await ask(server, chat(stream=stream))
        assert answer.end == "eof"
        if not stream:
            with pytest.raises(ValueError, match=r"JSON|Expecting|Extra data|decode|delimiter|Unterminated|Invalid"):
                answer.json  # noqa: B018  the property decodes
            return
        good, bad = RawAnswer(end="eof"), 0
        for event in answer.body.split(b"\n\n")[:-1]:
            try:
                if event != b"data: [DONE]":
                    json.loads(event.removeprefix(b"data: "))
                good.body += event + b"\n\n"
            except ValueError:
                bad += 1
        assert bad == 2
        assert is_good(good, stream=True)
        assert good.body.endswith(b"data: [DONE]\n\n")


@both
async def test_missing_done(*, stream: bool) -> None:
    """The stream is whole but for `[DONE]`; usage is still there."""
    async with SimulationServer(MissingDone()) as server:
        options = {"stream_options": {"include_usage": True}} if stream else {}
        answer = await ask(server, chat(stream=stream, **options))
        assert is_good(answer, stream=stream)
        if stream:
            assert b"[DONE]" not in answer.body
            assert answer.chunks[-1]["usage"]["completion_tokens"] == 16


@both
@pytest.mark.parametrize("shape", ["openai", "event", "openrouter"])
async def test_stream_error(shape: str, *, stream: bool) -> None:
    """An error arrives under status 200, in each of the shapes, and no finish reason of an answer with it."""
    async with SimulationServer(StreamError(shape=shape, at_token=2, message="boom")) as server:
        answer = await ask(server, chat(stream=stream))
        assert (answer.status, answer.end) == (200, "eof")
        error = answer.chunks[-1]["error"] if stream else answer.json["error"]
        assert error["message"] == "boom"
        if not stream:
            return
        assert b"[DONE]" not in answer.body
        assert (b"event: error\n" in answer.body) == (shape == "event")
        contents = [c["choices"][0]["delta"]["content"] for c in answer.chunks if "choices" in c]
        assert "".join(contents) == first(2)
        if shape == "openrouter":
            assert answer.finish_reasons == ["error"]


@both
@pytest.mark.parametrize("shape", ["no_content", "no_choices", "no_events", "no_body"])
async def test_empty_answer(shape: str, *, stream: bool) -> None:
    """Status 200 and a correct end, without any content."""
    async with SimulationServer(EmptyAnswer(shape=shape)) as server:
        answer = await ask(server, chat(stream=stream))
        assert (answer.status, answer.end) == (200, "eof")
        assert "amber" not in answer.body.decode()
        assert PROMPT not in answer.body.decode()
        if shape == "no_body":
            assert answer.body == b""
        elif stream:
            assert (answer.text, answer.events[-1]) == ("", "[DONE]")
            assert answer.finish_reasons == (["stop"] if shape == "no_content" else [])
        elif shape == "no_content":
            assert answer.json["choices"][0]["message"]["content"] == ""


@both
async def test_slow_drip(*, stream: bool) -> None:
    """The same bytes in pieces of three."""
    async with SimulationServer(SlowDrip(piece_bytes=3)) as server:
        answer = await ask(server, chat(stream=stream))
        assert is_good(answer, stream=stream)
        if stream:
            assert answer.blocks >= len(answer.body) // 3


@both
async def test_flapping_by_requests(*, stream: bool) -> None:
    """Good and failing halves take turns, good first."""
    async with SimulationServer(Flapping(every_requests=2)) as server:
        statuses = [(await ask(server, chat(stream=stream))).status for _ in range(6)]
        assert statuses == [200, 200, 503, 503, 200, 200]
        server.play(Flapping(every_requests=1, failure="reset"))
        ends = [(await ask(server, chat(stream=stream))).end for _ in range(2)]
        assert ends == ["eof", "reset"]


def test_flapping_by_time() -> None:
    """The first period is good, the second fails."""
    fault = Flapping(period_s=2)
    assert [fault.is_failing(elapsed_s=at, ordinal=0) for at in (0, 1.9, 2, 3.9, 4)] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_every_fault_is_in_the_table_under_its_kind() -> None:
    """A script can name every fault, and its defaults are valid."""
    for kind, fault in FAULTS.items():
        assert fault().kind == kind


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("error_status", {"status": 200}),
        ("error_status", {"delay_s": -1}),
        ("rate_limit", {"retry_after_s": -1}),
        ("reset", {"delay_s": -1}),
        ("slow_first_token", {"ttft_s": -1}),
        ("drift", {"over_s": 0}),
        ("drift", {"over_requests": 0}),
        ("stall", {"at_token": -1}),
        ("stall", {"every_s": 0}),
        ("cut", {"at_token": -1}),
        ("malformed_event", {"repeat": 0}),
        ("stream_error", {"at_token": -1}),
        ("slow_drip", {"piece_bytes": 0}),
        ("flapping", {"period_s": 0}),
        ("flapping", {"every_requests": 0}),
    ],
)
def test_values_out_of_range_are_refused(kind: str, fields: dict[str, float]) -> None:
    """A fault cannot be built with a value that means nothing."""
    with pytest.raises(ValueError, match="must be"):
        FAULTS[kind](**fields)
