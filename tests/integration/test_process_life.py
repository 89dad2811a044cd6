"""`streamroute serve` under less usual circumstances: no keys, idle clients, kills, lost files, signals in a row."""

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
        await asyncio.to_thread(serve.wait_for_stderr, "SIMULATED: answers of chat, fast, auto are made up")
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


async def test_reloads_in_a_row_cost_no_answer(session: aiohttp.ClientSession) -> None:
    """However often the file changes under load, also to rubbish and back, every answer is whole."""
    async with SimulationServer(profile=Profile(tokens=8, tpot_s=0.002)) as provider:
        good = config(provider)
        with ServeProcess(good) as serve:

            async def load() -> None:
                for _ in range(12):
                    assert (await ask(session, serve)).is_done

            async with asyncio.TaskGroup() as tasks:
                for _ in range(10):
                    tasks.create_task(load())
                for count in range(12):
                    file = good.replace('model = "model-a"', f'model = "model-{count}"')
                    serve.config_file.write_text(file if count % 3 else "version = [")
                    serve.signal(signal.SIGHUP)
                    pattern = "(?s)" + ".*".join([r"config\.reload"] * (count + 1))
                    await asyncio.to_thread(serve.wait_for_stderr, pattern)
        assert len(provider.log) == 120
        assert len({record.model for record in provider.log}) > 1


async def test_keys_can_be_asked_for_later(session: aiohttp.ClientSession) -> None:
    """A reload that adds keys holds for the next request, also on connections that are open."""
    async with SimulationServer(profile=Profile(tokens=3)) as provider:
        with ServeProcess(config(provider), env={"CLIENT_KEY": "a-key-for-clients"}) as serve:
            assert (await ask(session, serve)).status == 200
            serve.config_file.write_text(config(provider) + '[server]\napi_keys = ["${CLIENT_KEY}"]\n')
            serve.signal(signal.SIGHUP)
            await asyncio.to_thread(serve.wait_for_stderr, "config.reloaded")
            assert (await ask(session, serve)).status == 401
            session.headers["authorization"] = "Bearer a-key-for-clients"
            assert (await ask(session, serve)).status == 200


@pytest.mark.parametrize(("timeout_s", "status"), [(30, 200), (0.05, 503)])
async def test_whole_answers_and_the_drain(session: aiohttp.ClientSession, timeout_s: float, status: int) -> None:
    """An answer that does not stream may finish too; one that takes too long is a 503, not a broken connection."""
    async with SimulationServer(profile=Profile(tokens=30, tpot_s=0.01)) as provider:
        with ServeProcess(f"{config(provider)}[server]\ndrain_timeout_s = {timeout_s}\n") as serve:
            async with asyncio.TaskGroup() as tasks:
                url = f"{serve.url}/v1/chat/completions"
                asking = tasks.create_task(_whole(session, url))
                await provider.wait_until(lambda: provider.in_flight == 1)
                serve.signal(signal.SIGTERM)
            answer = asking.result()
            assert answer[0] == status
            assert answer[1] == (None if status == 200 else "shutting_down")
            assert await asyncio.to_thread(serve.wait, 5) == 0


async def _whole(session: aiohttp.ClientSession, url: str) -> tuple[int, str | None]:
    async with session.post(url, json={**ASK, "stream": False}) as response:
        body = await response.json()
    return response.status, body["error"]["code"] if "error" in body else None


async def test_drain_delay(session: aiohttp.ClientSession) -> None:
    """While load balancers take notice, `/readyz` says no and requests are still served."""
    async with SimulationServer(profile=Profile(tokens=3)) as provider:
        with ServeProcess(f"{config(provider)}[server]\ndrain_delay_s = 0.5\n") as serve:
            serve.signal(signal.SIGTERM)
            await asyncio.to_thread(serve.wait_for_stderr, "drain.started")
            async with session.get(f"{serve.url}/readyz") as response:
                assert response.status == 503
            assert (await ask(session, serve)).is_done
            assert await asyncio.to_thread(serve.wait, 5) == 0


async def test_many_signals_at_once() -> None:
    """Signals of every kind, none of them waited for, end in one clean exit."""
    async with SimulationServer() as provider:
        with ServeProcess(config(provider)) as serve:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                serve.signal(number)
            assert await asyncio.to_thread(serve.wait, 5) in {0, 130}
            assert "Traceback" not in serve.stderr
