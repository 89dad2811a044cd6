"""The server around a script: its log, its clock, and an end that never hangs."""

import socket

import aiohttp
import anyio
import pytest

from streamroute import clock
from streamroute.simulation.faults import FAULTS, Cut, NoResponse, SlowDrip, SlowFirstToken, Stall
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.server import SimulationServer
from tests.simulation.clients import ask, chat


@pytest.mark.parametrize(
    "fault",
    [
        NoResponse(),
        NoResponse(after="role"),
        Stall(alive="comments"),
        SlowFirstToken(ttft_s=60),
        SlowDrip(interval_s=9),
    ],
    ids=lambda fault: fault.kind,
)
@pytest.mark.parametrize("stream", [True, False])
async def test_close_while_a_fault_holds_connections(fault: object, stream: bool) -> None:
    """Closing ends held connections at once, and is recorded as ours."""
    async with anyio.create_task_group() as clients:
        async with SimulationServer(fault) as server:
            for _ in range(3):
                clients.start_soon(ask, server, chat(stream=stream))
            await server.wait_until(lambda: server.in_flight == 3)
            began = clock.now()
        assert clock.now() - began < 1.0
        assert server.in_flight == 0
        assert {record.ending for record in server.log} == {"server_closed"}
    await server.aclose()  # once more does no harm


async def test_close_while_an_idle_connection_is_kept_alive() -> None:
    """A client that holds its connection open does not delay the end."""
    async with aiohttp.ClientSession() as session, SimulationServer() as server:
        async with session.post(f"{server.base_url}/chat/completions", json=chat()) as response:
            await response.read()
        began = clock.now()
        await server.aclose()
        assert clock.now() - began < 1.0


async def test_client_that_leaves_is_noticed_at_once() -> None:
    """A disconnect in the middle of a stream ends the work, within the 100 ms that the product promises."""
    async with SimulationServer(profile=Profile(tpot_s=0.001, tokens=9999)) as server:
        answer = await ask(server, chat(stream=True), until=b"-0002")
        left = clock.now()
        assert answer.end == "open"
        await server.wait_until(lambda: server.in_flight == 0)
        record = server.log[0]
        assert record.ending == "client_closed"
        assert record.client_closed_at - left < 0.1
        assert 3 <= record.tokens_sent < 9999


async def test_log_tells_what_was_received() -> None:
    """Body and headers are kept, a credential only as its presence and digest."""
    async with SimulationServer() as server:
        headers = {"Authorization": "Bearer secret-1", "X-Other": "1"}
        await ask(server, chat("hello", stream=True, future={"a": 1}), headers=headers)
        (record,) = server.log
        assert record.body["future"] == {"a": 1}
        assert (record.headers["x-other"], record.headers["authorization"]) == ("1", "(not kept)")
        assert record.has_authorization
        assert record.was_authorized_by("secret-1")
        assert not record.was_authorized_by("secret-2")
        assert "secret-1" not in repr(record)
        assert "hello" not in repr(record)
        assert (record.model, record.stream, record.status, record.tokens_sent) == ("sim-1", True, 200, 16)
        assert record.received_at <= record.first_byte_at <= record.first_token_at <= record.ended_at
        assert (record.ending, record.fault, record.phase, record.client_closed_at) == ("answered", None, None, None)


async def test_log_without_bodies() -> None:
    """The standalone server keeps only facts about a request."""
    async with SimulationServer(keep_bodies=False) as server:
        await ask(server, chat(), headers={"Authorization": "Bearer secret-1"})
        assert (server.log[0].body, server.log[0].headers, server.log[0].has_authorization) == (None, {}, True)


async def test_play_begins_the_script_anew() -> None:
    """A script played at run time counts its requests from 0, and a fault can be played alone."""
    script = Script(name="one", phases=(Phase(until_request=1, fault=Cut(at_token=0, how="eof")),))
    async with SimulationServer(script) as server:
        for _ in range(2):
            texts = [(await ask(server, chat(stream=True))).text for _ in range(2)]
            assert texts[0] == ""
            assert texts[1] != ""
            server.play(script)
        server.play(Cut(at_token=1, how="eof"))
        assert server.script.name == "cut"
        assert (await ask(server, chat(stream=True))).text.count("-") == 1
        server.play(None)
        assert (await ask(server, chat(stream=True))).text.count("-") == 16
        assert [record.ordinal for record in server.log] == [0, 1, 0, 1, 0, 0]


async def test_phase_can_change_the_profile() -> None:
    """A phase without a fault masks later ones and may answer at another length."""
    script = Script(phases=(Phase(stream=True, profile=Profile(tokens=3)), Phase(fault=FAULTS["reset"]())))
    async with SimulationServer(script) as server:
        assert (await ask(server, chat(stream=True))).text.count("-") == 3
        assert (await ask(server, chat())).end == "reset"
        assert [record.phase for record in server.log] == [0, 1]


async def test_pace_of_the_profile() -> None:
    """Time to first token and time per token are kept, for streams and for whole answers."""
    async with SimulationServer(profile=Profile(ttft_s=0.03, tpot_s=0.002, jitter=0.1, tokens=6)) as server:
        for stream in (True, False):
            answer = await ask(server, chat(stream=stream))
            assert answer.end == "eof"
        streamed, whole = server.log
        assert 0.026 < streamed.first_token_at - streamed.received_at < 0.2
        assert streamed.ended_at - streamed.received_at > 0.035
        assert whole.first_byte_at - whole.received_at > 0.035


async def test_wait_until_gives_up() -> None:
    """Waiting for what never happens ends."""
    async with SimulationServer() as server:
        with pytest.raises(TimeoutError):
            await server.wait_until(lambda: False, timeout_s=0.01)


async def test_port_that_is_taken() -> None:
    """A port in use is an OSError, and nothing is left behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="address already in use"):
            await SimulationServer(port=taken.getsockname()[1]).__aenter__()
