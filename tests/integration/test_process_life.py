"""The ends of `streamroute serve` that are not in the manual: nothing configured, idle clients, a kill, a lost file."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.rig import Reply, read_stream
from tests.support.serve_process import ServeProcess, provider_table

ASK = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": "Tell me about rivers."}]}
SHIPPED = Path(__file__).parents[2] / "config.toml"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def config(provider: SimulationServer) -> str:
    return f'version = 1\n{provider_table("a", provider.base_url)}[routes.chat]\nupstreams = ["a"]\n'


async def ask(session: aiohttp.ClientSession, serve: ServeProcess, **more: str) -> Reply:
    async with session.post(f"{serve.url}/v1/chat/completions", json={**ASK, **more}) as response:
        reply = Reply(response.status, response.headers)
        if response.status == 200:
            read_stream(await response.read(), reply)
    return reply


async def test_no_key_is_needed(session: aiohttp.ClientSession) -> None:
    """The shipped file answers without any key, from simulated providers, and says so on stderr and in `/status`."""
    keys = {name: "" for name in os.environ if name.endswith("_API_KEY")}
    with ServeProcess(SHIPPED.read_text(), env=keys) as serve:
        await asyncio.to_thread(serve.wait_for_stderr, "SIMULATED")
        async with session.get(f"{serve.url}/status") as response:
            status = orjson.loads(await response.read())
        assert status["simulated"]["is_in_use"] is True
        reply = await ask(session, serve, model=next(iter(status["routes"])))
    assert reply.is_done
    assert reply.text


async def test_idle_connections_do_not_delay_the_end(session: aiohttp.ClientSession) -> None:
    """Keep-alive connections that wait for another request are closed at once, not waited for."""
    loop = asyncio.get_running_loop()
    async with SimulationServer() as provider:
        with ServeProcess(config(provider)) as serve:
            assert (await ask(session, serve)).is_done
            asked_at = loop.time()
            serve.signal(signal.SIGTERM)
            assert await asyncio.to_thread(serve.wait, 5) == 0
            assert loop.time() - asked_at < 1.5, "less than app.CLOSE_TIMEOUT_S"


async def test_killed_process_never_looks_like_an_end(session: aiohttp.ClientSession) -> None:
    """After SIGKILL the client has a body that is cut by HTTP's rules, and the provider is let go."""
    async with SimulationServer(profile=Profile(tpot_s=0.02, tokens=9000)) as provider:
        with ServeProcess(config(provider)) as serve:
            async with session.post(f"{serve.url}/v1/chat/completions", json=ASK) as response:
                assert response.status == 200
                serve.signal(signal.SIGKILL)
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.read()
        await provider.wait_until(lambda: provider.in_flight == 0)


async def test_a_lost_file_keeps_the_old_configuration(session: aiohttp.ClientSession) -> None:
    """SIGHUP while the file is missing or half written changes nothing; once it is back it is taken."""
    async with SimulationServer(profile=Profile(tokens=3)) as provider:
        good = config(provider)
        with ServeProcess(good) as serve:
            serve.config_file.unlink()
            serve.signal(signal.SIGHUP)
            await asyncio.to_thread(serve.wait_for_stderr, "cannot be read.*reload_refused")
            serve.config_file.write_text(good[: len(good) // 2])
            serve.signal(signal.SIGHUP)
            await asyncio.to_thread(serve.wait_for_stderr, "(?s)reload_refused.*reload_refused")
            assert (await ask(session, serve)).is_done
            serve.config_file.write_text(good.replace("[routes.chat]", "[routes.talk]"))
            serve.signal(signal.SIGHUP)
            await asyncio.to_thread(serve.wait_for_stderr, "config.reloaded")
            assert (await ask(session, serve)).status == 404
            assert (await ask(session, serve, model="talk")).is_done
