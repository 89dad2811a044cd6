"""The simulated provider where time is virtual and connections are in memory."""

from typing import Any

import aiohttp

from streamroute import clock
from streamroute.simulation.faults import Cut
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.simulation.clients import PROMPT, ask, chat
from tests.simulation.virtual import run_virtually


class InMemoryConnector(aiohttp.TCPConnector):
    """Connects by the loop alone: aiohttp's own way races addresses over real sockets."""

    async def _wrap_create_connection(self, *args: Any, addr_infos: Any, **_options: Any) -> Any:
        host, port = addr_infos[0][4][:2]
        return await self._loop.create_connection(args[0], host, port)


def test_streams_through_aiohttp_in_no_time() -> None:
    """A minute of a stream passes at once, token by token, to aiohttp's own client."""

    async def main() -> tuple[str, float]:
        profile = Profile(ttft_s=10.0, tpot_s=1.0, tokens=51)
        async with (
            SimulationServer(profile=profile) as server,
            aiohttp.ClientSession(connector=InMemoryConnector()) as session,
        ):
            began = clock.now()
            url = f"{server.base_url}/chat/completions"
            async with session.post(url, json=chat(stream=True), timeout=aiohttp.ClientTimeout()) as response:
                return (await response.read()).decode(), clock.now() - began

    body, took_s = run_virtually(main)
    assert body.endswith("data: [DONE]\n\n")
    assert body.count('"content":"') == 51 + 1  # and the role
    assert 60.0 <= took_s < 60.1


def test_a_reset_without_sockets() -> None:
    """Where there is no socket to set options on, the connection is aborted all the same."""

    async def main() -> tuple[str, str]:
        async with SimulationServer(Cut(at_token=3), profile=Profile(ttft_s=1.0, tpot_s=0.1)) as server:
            answer = await ask(server, chat(stream=True))
            return answer.text, answer.end

    text, end = run_virtually(main)
    assert text == expected_text(PROMPT, 3)
    assert end in {"reset", "close"}


def test_same_seed_same_times() -> None:
    """Two runs are the same to the last bit."""

    async def main() -> list[float | None]:
        profile = Profile(ttft_s=0.4, ttft_sigma=0.5, tpot_s=0.02, jitter=0.3)
        async with SimulationServer(profile=profile) as server:
            for _ in range(5):
                await ask(server, chat(stream=True))
            return [record.ended_at for record in server.log]

    assert run_virtually(main) == run_virtually(main)
