"""`streamroute serve` as an operator runs it: start, drain, reload, refuse to start."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.rig import Reply, read_stream
from tests.support.sidecar import ServeProcess, write_config

PROMPT = "Tell me about rivers."
ASK = {"model": "chat", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
BRIEF = Profile(tpot_s=0.02, tokens=40)
"""0.8 s: long enough to be still going on when the signal comes."""
ENDLESS = Profile(tpot_s=0.02, tokens=9000)


@asynccontextmanager
async def live_stream(session: aiohttp.ClientSession, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """Begin a stream and read its first bytes; the rest is the caller's to read."""
    async with session.post(f"{url}/v1/chat/completions", json=ASK) as response:
        assert response.status == 200
        yield response


async def rest_of(response: aiohttp.ClientResponse) -> Reply:
    """Read the stream to its end."""
    reply = Reply(response.status, response.headers)
    async with asyncio.timeout(10):
        read_stream(await response.read(), reply)
    return reply


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url) as response:
        return response.status, await response.text()


async def test_start(tmp_path: Path, session: aiohttp.ClientSession, record_property: Any) -> None:
    """It listens on the port that it announces, soon after it was started, and port 0 takes a free one."""
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    async with SimulationServer() as well, ServeProcess.start(write_config(tmp_path, {"a": well})) as serve:
        assert (await get(session, f"{serve.url}/readyz"))[0] == 200
        ready_s = loop.time() - started_at
        print(f"ready after {ready_s:.2f} s")  # noqa: T201 - a figure to look at, its limit would depend on the machine
        record_property("ready_s", round(ready_s, 3))
        assert ready_s < 5
        assert not serve.url.endswith(":0")


async def test_idle_connections_do_not_delay_the_end(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """Keep-alive connections that wait for another request are closed, not waited for."""
    loop = asyncio.get_running_loop()
    async with SimulationServer() as well, ServeProcess.start(write_config(tmp_path, {"a": well})) as serve:
        assert (await get(session, f"{serve.url}/readyz"))[0] == 200
        stopped_at = loop.time()
        serve.terminate()
        assert await serve.exit_code() == 0
        assert loop.time() - stopped_at < 1.5, "CLOSE_TIMEOUT_S is 2"


async def test_serves_the_shipped_configuration_without_keys(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """With no file and no key it answers from simulated providers, and says so loudly."""
    environ = {"PATH": "/usr/bin:/bin", "OPENAI_API_KEY": ""}
    async with ServeProcess.start(None, environ=environ, cwd=tmp_path) as serve:
        await serve.says("SIMULATED")
        async with session.get(f"{serve.url}/status") as response:
            status = await response.json()
        assert status["simulated"]["is_in_use"] is True
        route = next(iter(status["routes"]))
        async with session.post(f"{serve.url}/v1/chat/completions", json={**ASK, "model": route}) as response:
            reply = await rest_of(response)
        assert reply.is_done
        assert reply.text


async def test_sigterm_lets_streams_finish(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """After SIGTERM readiness fails and new requests are refused at once, a live stream arrives whole; exit 0."""
    async with (
        SimulationServer(profile=BRIEF) as well,
        ServeProcess.start(write_config(tmp_path, {"a": well})) as serve,
    ):
        async with live_stream(session, serve.url) as stream:
            serve.terminate()
            await serve.says("drain.started")
            assert (await get(session, f"{serve.url}/readyz"))[0] == 503
            assert (await get(session, f"{serve.url}/livez"))[0] == 200
            async with session.post(f"{serve.url}/v1/chat/completions", json=ASK) as refused:
                assert refused.status == 503
                assert (await refused.json())["error"]["code"] == "shutting_down"
            reply = await rest_of(stream)
        assert (reply.text, reply.is_done, reply.error) == (expected_text(PROMPT, 40), True, None)
        assert await serve.exit_code() == 0
        assert [record.ending for record in well.log] == ["answered"]


async def test_drain_timeout(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """A stream that takes longer than the drain may ends in an error event, never in `[DONE]`; exit 0 all the same."""
    async with SimulationServer(profile=ENDLESS) as endless:
        config = write_config(tmp_path, {"a": endless}, server={"drain_timeout_s": 0.2})
        async with ServeProcess.start(config) as serve:
            async with live_stream(session, serve.url) as stream:
                serve.terminate()
                reply = await rest_of(stream)
            assert reply.error is not None
            assert reply.error["code"] == "shutting_down"
            assert not reply.is_done
            assert not reply.finish_reasons
            assert reply.text
            assert expected_text(PROMPT, 9000).startswith(reply.text)
            assert await serve.exit_code() == 0
        await endless.wait_until(lambda: endless.in_flight == 0)


async def test_second_sigterm_stops_at_once(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """A second signal does not wait for anyone, but still ends streams with an error event."""
    async with SimulationServer(profile=ENDLESS) as endless:
        config = write_config(tmp_path, {"a": endless}, server={"drain_timeout_s": 600})
        async with ServeProcess.start(config) as serve:
            async with live_stream(session, serve.url) as stream:
                serve.terminate()
                await serve.says("drain.started")
                serve.terminate()
                assert await serve.exit_code(timeout_s=5) == 0
                reply = await rest_of(stream)
            assert reply.error is not None
            assert reply.error["code"] == "shutting_down"
            assert not reply.is_done


async def test_killed_process_never_looks_like_the_end(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """SIGKILL leaves a stream that HTTP itself calls incomplete, and the provider is let go."""
    async with SimulationServer(profile=ENDLESS) as endless:
        config = write_config(tmp_path, {"a": endless})
        async with ServeProcess.start(config) as serve, live_stream(session, serve.url) as stream:
            serve.kill()
            with pytest.raises(aiohttp.ClientPayloadError):
                await stream.read()
        await endless.wait_until(lambda: endless.in_flight == 0)


async def test_reload(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """SIGHUP swaps the routes for new requests while a stream that is running goes on with the old ones."""
    async with SimulationServer(profile=BRIEF) as old, SimulationServer(profile=Profile(tokens=3)) as new:
        config = write_config(tmp_path, {"old": old})
        async with ServeProcess.start(config) as serve, live_stream(session, serve.url) as stream:
            write_config(tmp_path, {"new": new}, routes={"chat": ["new"], "extra": ["new"]})
            serve.reload()
            await serve.says("config.reloaded")
            async with session.post(f"{serve.url}/v1/chat/completions", json=ASK) as response:
                assert response.headers["x-streamroute-upstream"] == "new"
                assert (await rest_of(response)).text == expected_text(PROMPT, 3)
            reply = await rest_of(stream)
            assert stream.headers["x-streamroute-upstream"] == "old"
            assert (reply.text, reply.is_done) == (expected_text(PROMPT, 40), True)
            status = orjson.loads((await get(session, f"{serve.url}/status"))[1])
            assert list(status["routes"]) == ["chat", "extra"]


async def test_reload_of_a_bad_file(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """A file with mistakes changes nothing; the log says where they are. Corrected, it is taken."""
    async with SimulationServer(profile=Profile(tokens=3)) as well:
        config = write_config(tmp_path, {"a": well})
        good = config.read_text()
        async with ServeProcess.start(config) as serve:
            for bad, word in ((good.replace('["a"]', '["b"]'), "no upstream"), ("version = [", "not valid TOML")):
                config.write_text(bad)
                serve.reload()
                line = orjson.loads(await serve.says("config.reload_refused"))
                assert line["level"] == "error"
                assert re.search(rf"streamroute\.toml:\d+: .*{word}", line["problems"][0])
                async with session.post(f"{serve.url}/v1/chat/completions", json=ASK) as response:
                    assert (await rest_of(response)).is_done
            config.unlink()
            serve.reload()
            await serve.says("config.reload_refused")
            config.write_text(good.replace("[routes.chat]", "[routes.talk]"))
            serve.reload()
            await serve.says("config.reloaded")
            async with session.post(f"{serve.url}/v1/chat/completions", json=ASK) as response:
                assert response.status == 404


async def test_sigint_exits_with_130(tmp_path: Path) -> None:
    """Ctrl-C drains too, and exits as a shell expects."""
    async with SimulationServer() as well, ServeProcess.start(write_config(tmp_path, {"a": well})) as serve:
        serve.interrupt()
        assert await serve.exit_code() == 130
