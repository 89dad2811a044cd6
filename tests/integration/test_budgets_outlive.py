"""Budgets across processes: after a kill, without a database, and beside other sidecars on the same one."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from streamroute.core.money import in_usd
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.integration.test_budgets import TOKENS, open_till
from tests.support.serve_process import ServeProcess, provider_table

BUDGET = 'scope = "task"\nname = "triage"\namount = "1USD/month"'


async def test_a_kill_does_not_give_the_money_back(tmp_path: Path) -> None:
    """What was spent is on the ledger within its interval, and read again by the next start."""
    profile = Profile(ttft_s=0.01, tpot_s=0.0005, tokens=TOKENS)
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(SimulationServer(profile=profile))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        config = (
            f'version = 1\n[ledger]\nurl = "sqlite:///{tmp_path}/ledger.db"\n[[budgets]]\n{BUDGET}\n'
            + provider_table("a", provider.base_url)
            + "price = { input_per_mtok = 1000, output_per_mtok = 10000 }\n[routes.chat]\nupstreams = ['a']\n"
        )

        async def ask(serve: ServeProcess) -> int:
            body = {"model": "chat", "messages": [{"role": "user", "content": "Hi."}], "max_tokens": TOKENS}
            named = {"x-streamroute-task": "triage"}
            async with session.post(f"{serve.url}/v1/chat/completions", json=body, headers=named) as response:
                return response.status

        async def until(serve: ServeProcess, path: str, text: str) -> None:
            async with asyncio.timeout(20):
                while True:
                    async with session.get(serve.url + path) as response:
                        if text in await response.text():
                            return

        with ServeProcess(config) as serve:
            answered = 0
            while await ask(serve) == 200:
                answered += 1
                await until(serve, "/status", '"in_flight":0')
            assert answered >= 2
            await until(serve, "/status", '"waiting":0')
            serve.signal(signal.SIGKILL)
            await asyncio.to_thread(serve.wait, 5)
        with ServeProcess(config) as serve:
            await until(serve, "/readyz?verbose", "[+]budgets ok")
            assert await ask(serve) == 429


async def test_a_start_without_a_database(tmp_path: Path) -> None:
    """Requests are served, and it is told that nobody knows what was spent; when the database is back, it is known."""
    async with AsyncExitStack() as stack:
        till = await open_till(stack, tmp_path, BUDGET, ledger="db/ledger.db")
        while (await till.ask())[0] == 200:
            await till.settled()
    folder = tmp_path / "db"
    folder.rename(tmp_path / "away")
    folder.write_text("not a folder")
    async with AsyncExitStack() as stack:
        till = await open_till(stack, tmp_path, BUDGET, ledger="db/ledger.db")
        assert (await till.ask())[0] == 200
        assert "what was spent before is not known yet" in await till.read("/readyz?verbose")
        folder.unlink()
        (tmp_path / "away").rename(folder)
        await till.recalled(timeout_s=20)
        assert in_usd(till.figures().spent) > 1, "the spend of before, and that of meanwhile"
        assert (await till.ask())[0] == 429


async def test_sidecars_on_one_ledger_share_their_budgets(tmp_path: Path) -> None:
    """Within seconds each knows what the others have spent; what it has spent itself counts once."""
    async with AsyncExitStack() as stack:
        tills = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            tills.append(await open_till(stack, tmp_path / name, BUDGET, ledger="../ledger.db"))
        one, two = tills
        for till in tills:
            await till.recalled()
        while (await one.ask())[0] == 200:
            await one.settled()
        assert two.figures().spent == 0
        async with asyncio.timeout(20):
            while not two.figures().spent:  # noqa: ASYNC110 - the core tells nobody
                await asyncio.sleep(0)
        assert (await two.ask())[0] == 429
        assert two.figures().spent == one.figures().spent
