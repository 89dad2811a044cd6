"""The life of a `streamroute serve` process: start, signals, exit codes, and what becomes of live streams."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator

import aiohttp
import psutil
import pytest

from streamroute import clock
from streamroute.simulation.faults import Stall
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.rig import Reply, read_stream
from tests.support.serve_process import ServeProcess, provider_table, serve_until_it_ends

PROMPT = "Tell me about rivers."
TOKENS = 12
READY_CPU_S = 3.0
"""The promise is 1 s on an idle machine: as a busy one keeps everybody waiting, what counts is the processor's time."""
EXIT_S = 5.0
PAUSE = Stall(at_token=4, for_s=0.6)
"""Stops in the middle, and goes on later: long enough to send a signal meanwhile."""
FOREVER = Stall(at_token=4)


@pytest.fixture
async def provider() -> AsyncIterator[SimulationServer]:
    async with SimulationServer(PAUSE, profile=Profile(tokens=TOKENS)) as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def _config(provider: SimulationServer, *, server: str = "", route: str = "chat", upstream: str = "a") -> str:
    return (
        f"version = 1\n[server]\n{server}\n{provider_table(upstream, provider.base_url)}\n"
        f'[routes.{route}]\nupstreams = ["{upstream}"]\n'
    )


async def _stream(serve: ServeProcess, session: aiohttp.ClientSession) -> Reply:
    body = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    async with session.post(f"{serve.url}/v1/chat/completions", json=body) as response:
        reply, raw = Reply(response.status, response.headers), b""
        try:
            async for block in response.content.iter_any():
                raw += block
        except aiohttp.ClientPayloadError:
            reply.is_cut = True
    read_stream(raw, reply)
    return reply


async def _is_live(provider: SimulationServer) -> None:
    """Wait until the provider has sent the first half of an answer."""
    await provider.wait_until(lambda: bool(provider.log) and provider.log[-1].tokens_sent >= 4)


async def _says(serve: ServeProcess, pattern: str) -> None:
    await asyncio.to_thread(serve.wait_for_stderr, pattern)


def _assert_whole(reply: Reply) -> None:
    assert (reply.status, reply.text, reply.error) == (200, expected_text(PROMPT, TOKENS), None)
    assert reply.finish_reasons == ["stop"]
    assert reply.is_done
    assert not reply.is_cut


def _assert_ended_with_an_error(reply: Reply) -> None:
    assert reply.text == expected_text(PROMPT, 4)
    assert reply.error is not None
    assert reply.error["code"] == "shutting_down"
    assert not reply.is_done
    assert not reply.is_cut
    assert reply.finish_reasons == ["error"]


async def test_it_is_ready_soon_on_a_port_that_it_names(
    provider: SimulationServer, session: aiohttp.ClientSession
) -> None:
    """Port 0 takes a free port, named on stderr, and requests are served from that moment."""
    with ServeProcess(_config(provider)) as serve:
        async with session.get(f"{serve.url}/readyz") as response:
            assert response.status == 200
        used = psutil.Process(serve.pid).cpu_times()
        print(f"ready after {serve.ready_s:.2f} s, of CPU {used.user + used.system:.2f}")  # noqa: T201 - see it with -rP
        assert used.user + used.system < READY_CPU_S
        assert int(serve.url.rpartition(":")[2]) > 0


async def test_sigterm_lets_live_streams_finish(provider: SimulationServer, session: aiohttp.ClientSession) -> None:
    """SIGTERM: `/readyz` says no at once, new requests are refused, the live stream ends whole, and the exit is 0."""
    with ServeProcess(_config(provider)) as serve:
        async with asyncio.TaskGroup() as tasks:
            stream = tasks.create_task(_stream(serve, session))
            await _is_live(provider)
            serve.signal(signal.SIGTERM)
            await _says(serve, "drain.started")
            async with session.get(f"{serve.url}/readyz") as response:
                assert response.status == 503
            async with session.get(f"{serve.url}/livez") as response:
                assert response.status == 200
            async with session.post(f"{serve.url}/v1/chat/completions", json={}) as response:
                assert response.status == 503
            assert not stream.done()
        _assert_whole(stream.result())
        assert await asyncio.to_thread(serve.wait, EXIT_S) == 0


async def test_drain_timeout_ends_the_rest(provider: SimulationServer, session: aiohttp.ClientSession) -> None:
    """A stream that outlives `drain_timeout_s` ends in an error event, without `[DONE]`; the exit is still 0."""
    provider.play(FOREVER)
    with ServeProcess(_config(provider, server="drain_timeout_s = 0.2")) as serve:
        async with asyncio.TaskGroup() as tasks:
            stream = tasks.create_task(_stream(serve, session))
            await _is_live(provider)
            serve.signal(signal.SIGTERM)
        _assert_ended_with_an_error(stream.result())
        assert await asyncio.to_thread(serve.wait, EXIT_S) == 0


async def test_a_second_sigterm_stops_at_once(provider: SimulationServer, session: aiohttp.ClientSession) -> None:
    """The second SIGTERM waits for nobody: live streams get their error event now."""
    provider.play(FOREVER)
    with ServeProcess(_config(provider, server="drain_timeout_s = 30")) as serve:
        async with asyncio.TaskGroup() as tasks:
            stream = tasks.create_task(_stream(serve, session))
            await _is_live(provider)
            serve.signal(signal.SIGTERM)
            await _says(serve, "drain.started")
            again_at = clock.now()
            serve.signal(signal.SIGTERM)
            code = await asyncio.to_thread(serve.wait, EXIT_S)
        print(f"ended {clock.now() - again_at:.2f} s after the second signal")  # noqa: T201 - see above
        assert code == 0
        _assert_ended_with_an_error(stream.result())


async def test_sighup_changes_routes_under_a_live_stream(
    provider: SimulationServer, session: aiohttp.ClientSession
) -> None:
    """SIGHUP: new requests see the new file at once, the running stream ends whole with its old upstream."""
    async with SimulationServer(profile=Profile(tokens=TOKENS)) as other:
        with ServeProcess(_config(provider)) as serve:
            async with asyncio.TaskGroup() as tasks:
                stream = tasks.create_task(_stream(serve, session))
                await _is_live(provider)
                serve.config_file.write_text(_config(other, upstream="b"))
                serve.signal(signal.SIGHUP)
                await _says(serve, "config.reloaded")
                reply = await _stream(serve, session)
                assert not stream.done()
            _assert_whole(reply)
            assert reply.headers["x-streamroute-upstream"] == "b"
            _assert_whole(stream.result())
            assert stream.result().headers["x-streamroute-upstream"] == "a"


async def test_a_bad_file_keeps_the_old_configuration(
    provider: SimulationServer, session: aiohttp.ClientSession
) -> None:
    """SIGHUP with a file that is wrong changes nothing, and stderr says which line is to blame."""
    provider.play(None)
    with ServeProcess(_config(provider)) as serve:
        serve.config_file.write_text(f"{_config(provider)}deadlnes = {{ stall_s = 1 }}\n")
        serve.signal(signal.SIGHUP)
        await _says(serve, r"config\.reload_refused")
        assert f"{serve.config_file}:" in serve.stderr
        assert "deadlnes" in serve.stderr
        serve.config_file.unlink()
        serve.signal(signal.SIGHUP)
        await _says(serve, "cannot be read")
        _assert_whole(await _stream(serve, session))


async def test_sigint_is_130(provider: SimulationServer) -> None:
    """Ctrl-C drains like SIGTERM, and the exit code tells shells that it was an interruption."""
    with ServeProcess(_config(provider)) as serve:
        serve.signal(signal.SIGINT)
        assert await asyncio.to_thread(serve.wait, EXIT_S) == 130
        assert "Traceback" not in serve.stderr


@pytest.mark.parametrize("option", ["--listen=127.0.0.1:", "--port="])
async def test_a_port_in_use_is_69(provider: SimulationServer, option: str) -> None:
    """An address that is taken ends in exit 69, with what to do about it; `--port` is one of loopback."""
    config = _config(provider, server='listen = "0.0.0.0:1"')
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = f"127.0.0.1:{port}"
        ended = await asyncio.to_thread(serve_until_it_ends, config, args=[f"{option}{port}"])
    assert ended.returncode == 69
    assert address in ended.stderr
    assert "--listen" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_one_address_at_a_time(provider: SimulationServer) -> None:
    """`--port` is a short form, no second word."""
    ended = await asyncio.to_thread(serve_until_it_ends, _config(provider), args=["--listen=127.0.0.1:0", "--port=0"])
    assert (ended.returncode, "choose one of --listen and --port" in ended.stderr) == (2, True)


async def test_a_bad_configuration_is_78() -> None:
    """Every problem of a file is listed with file and line, nothing is started, and the exit is 78."""
    config = 'version = 1\n[server]\nlisen = "127.0.0.1:0"\n[routes.chat]\nupstreams = ["nobody"]\n'
    ended = await asyncio.to_thread(serve_until_it_ends, config)
    assert ended.returncode == 78
    assert "config.toml:3" in ended.stderr
    assert "config.toml:5" in ended.stderr
    assert "listen" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_the_world_is_not_let_in_by_accident(provider: SimulationServer) -> None:
    """Listening beyond loopback without keys is refused, with the line that mends it."""
    ended = await asyncio.to_thread(serve_until_it_ends, _config(provider), args=["--listen=0.0.0.0:0"])
    assert ended.returncode == 78
    assert "api_keys" in ended.stderr
