"""Budgets on real sockets: they hold whatever comes at once, and nothing stays reserved."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import aiohttp
import openai
import pytest

from streamroute.app import App
from streamroute.config.load import load_config
from streamroute.core.cost.budget import SpendFigures
from streamroute.core.money import in_usd
from streamroute.engine.spending import now_ms
from streamroute.server.budget_status import WARNING
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, NoResponse
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer

AT_ONCE = 200
TOKENS = 20
PRICE = "price = { input_per_mtok = 1000, output_per_mtok = 10000 }"
"""A twentieth of a cent a token: amounts that are easy to read."""
ROUTE = """[routes.chat]
upstreams = ["a", "b"]
deadlines = { first_token_s = 2.0, headers_s = 1.0, stall_s = 1.0, answer_s = 5.0 }
"""


class Till:
    """Two providers, a sidecar with budgets, and clients."""

    def __init__(self, app: App, session: aiohttp.ClientSession, providers: Sequence[SimulationServer]) -> None:
        self.app = app
        self.session = session
        self.providers = providers

    async def ask(self, *, task: str = "triage", **more: object) -> tuple[int, dict[str, object]]:
        body = {
            "model": "chat",
            "messages": [{"role": "user", "content": "Tell me about rivers."}],
            "max_tokens": TOKENS,
            "metadata": {"task": task},
            **more,
        }
        async with self.session.post(f"{self.app.url}/v1/chat/completions", json=body) as response:
            return response.status, await response.json() if response.content_type == "application/json" else {}

    async def recalled(self, timeout_s: float = 10) -> None:
        async with asyncio.timeout(timeout_s):
            while self.app.dispatcher.spending.budgets.unknown:  # noqa: ASYNC110 - the core tells nobody
                await asyncio.sleep(0)

    async def headers(self, *, task: str = "triage", stream: bool = False) -> Mapping[str, str]:
        body = {
            "model": "chat",
            "stream": stream,
            "messages": [{"role": "user", "content": "Hi."}],
            "max_tokens": TOKENS,
        }
        named = {"x-streamroute-task": task}
        async with self.session.post(f"{self.app.url}/v1/chat/completions", json=body, headers=named) as response:
            await response.read()
        await self.settled()
        return response.headers

    async def read(self, path: str) -> str:
        async with self.session.get(f"{self.app.url}{path}") as response:
            return await response.text()

    def figures(self) -> SpendFigures:
        [found] = self.app.dispatcher.spending.budgets.named(now_ms())
        return found

    async def settled(self) -> None:
        async with asyncio.timeout(10):
            await self.app.dispatcher.idle()


async def open_till(
    stack: AsyncExitStack,
    folder: Path,
    budget: str,
    *,
    faults: Sequence[Fault | None] = (None, None),
    more: str = "",
    ledger: str = "ledger.db",
) -> Till:
    """Start everything; `budget` is the body of one of `[[budgets]]`, `ledger` a file in `folder`."""
    profile = Profile(ttft_s=0.01, tpot_s=0.0005, tokens=TOKENS)
    providers = [await stack.enter_async_context(SimulationServer(fault, profile=profile)) for fault in faults]
    tables = "".join(
        f'[providers.{name}]\nkind = "openai_compatible"\nbase_url = "{provider.base_url}"\n'
        f'[upstreams.{name}]\nprovider = "{name}"\nmodel = "m"\n{PRICE if "unpriced" not in more else ""}\n'
        for name, provider in zip("ab", providers, strict=True)
    )
    file = folder / "config.toml"
    table = f'[ledger]\nurl = "sqlite:///{folder}/{ledger}"\nspool_dir = "{folder}/spool"\n'
    file.write_text(f"version = 1\n{table}[[budgets]]\n{budget}\n{tables}{ROUTE}{more}")
    app = App(load_config(file, environ={}, overrides={"server.listen": "127.0.0.1:0"}))
    await stack.enter_async_context(app)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return Till(app, session, providers)


def usd(amount: int) -> Decimal:
    return in_usd(amount)


@pytest.mark.parametrize(
    ("faults", "plan", "stream", "bills_on"),
    [
        ((None, None), "hedge", False, False),
        ((None, None), "race", True, False),
        ((None, None), "race", True, True),
        ((Cut(at_token=5), None), "hedge", True, False),
        ((ErrorStatus(status=500), None), "hedge", False, False),
        ((NoResponse(), None), "hedge", True, True),
    ],
)
async def test_two_hundred_at_once(
    faults: Sequence[Fault | None], plan: str, stream: bool, bills_on: bool, tmp_path: Path
) -> None:
    """The limit is not exceeded, however calls are hedged, raced, retried and carried on; what is left can be spent."""
    async with AsyncExitStack() as stack:
        budget = 'scope = "global"\namount = "10USD/day"'
        capabilities = "[upstreams.{}.capabilities]\nbills_cancelled_streams = true\n"
        more = f'plan = "{plan}"\n' + (capabilities.format("a") + capabilities.format("b") if bills_on else "")
        till = await open_till(stack, tmp_path, budget, faults=faults, more=more)
        replies = await asyncio.gather(*(till.ask(stream=stream) for _ in range(AT_ONCE)))
        await till.settled()
        figures = till.figures()
        assert usd(figures.spent) <= 10
        assert figures.reserved == 0
        statuses = [status for status, _ in replies]
        assert 200 in statuses
        assert 429 in statuses
        refused = next(body for status, body in replies if status == 429)
        assert "has" in str(refused)
        assert refused["error"]["code"] == "insufficient_quota"  # type: ignore[index]
        asked = 0
        while asked < 60 and (await till.ask(stream=False))[0] == 200:
            asked += 1
            await till.settled()
        assert usd(till.figures().spent) > Decimal("9.3"), "one more call did not fit, and no earlier"
        assert usd(till.figures().spent) <= 10


async def test_the_sdk_knows_what_it_means(tmp_path: Path) -> None:
    """As OpenAI says that somebody's money is used up; and it does not try again."""
    async with AsyncExitStack() as stack:
        till = await open_till(stack, tmp_path, 'scope = "task"\nname = "triage"\namount = "0.01USD/month"')
        client = await stack.enter_async_context(openai.AsyncOpenAI(base_url=f"{till.app.url}/v1", api_key="none"))
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(
                model="chat",
                messages=[{"role": "user", "content": "Hi."}],
                metadata={"task": "triage"},
            )
        assert caught.value.code == "insufficient_quota"
        assert "0.01 USD a month" in caught.value.message
        assert "resets at" in caught.value.message
        assert [len(each.log) for each in till.providers] == [0, 0]
        assert (await till.ask(task="other"))[0] == 200, "another task is under no budget"


async def test_a_dear_upstream_is_passed_over_for_one_that_can_be_paid(tmp_path: Path) -> None:
    """A request is refused only where nobody is left whom the money suffices for."""
    async with AsyncExitStack() as stack:
        till = await open_till(stack, tmp_path, 'scope = "global"\namount = "1USD/day"')
        file = tmp_path / "config.toml"
        text = file.read_text()
        file.write_text(text.replace("output_per_mtok = 10000", "output_per_mtok = 99000", 1))
        await till.app.reload(load_config(file, environ={}, overrides={"server.listen": "127.0.0.1:0"}))
        assert (await till.ask())[0] == 200
        assert [len(each.log) for each in till.providers] == [0, 1]


async def test_what_is_unpriced_is_not_used_under_a_budget(tmp_path: Path) -> None:
    """Nobody could say whether the budget holds; unless the budget allows it."""
    async with AsyncExitStack() as stack:
        till = await open_till(stack, tmp_path, 'scope = "global"\namount = "1USD/day"', more="# unpriced\n")
        status, body = await till.ask()
        assert status == 429
        assert "nobody knows its price" in str(body)
        file = tmp_path / "config.toml"
        file.write_text(file.read_text().replace('"1USD/day"', '"1USD/day"\nmay_use_unpriced = true'))
        await till.app.reload(load_config(file, environ={}, overrides={"server.listen": "127.0.0.1:0"}))
        assert (await till.ask())[0] == 200


async def test_a_restart_does_not_give_the_money_back(tmp_path: Path) -> None:
    """What was spent in a window that is live is on the ledger."""
    budget = 'scope = "task"\nname = "triage"\namount = "0.6USD/total"'
    async with AsyncExitStack() as stack:
        till = await open_till(stack, tmp_path, budget)
        while (await till.ask())[0] == 200:
            await till.settled()
        spent = till.figures().spent
        assert spent
    async with AsyncExitStack() as stack:
        till = await open_till(stack, tmp_path, budget)
        await till.recalled()
        assert till.figures().spent == spent
        assert (await till.ask())[0] == 429
        async with till.session.get(f"{till.app.url}/status") as response:
            document = await response.json()
        assert document["budgets"]["used"][0]["limit_usd"] == "0.6"
        assert document["budgets"]["is_spend_known"]
        async with till.session.get(f"{till.app.url}/metrics") as response:
            metrics = await response.text()
        assert 'streamroute_budget_limit_usd{name="triage",scope="task",window="total"} 0.6' in metrics


async def test_the_soft_limit_is_told(tmp_path: Path) -> None:
    """In a header from then on, in the log and in metrics once a window; nothing is refused for it."""
    async with AsyncExitStack() as stack:
        till = await open_till(
            stack, tmp_path, 'scope = "task"\nname = "triage"\namount = "100USD/day"\nwarn_at = 0.001'
        )
        for _ in range(2):
            assert WARNING not in await till.headers(task="other")
            await till.headers()
        assert (await till.headers())[WARNING].startswith("task=triage; spent_usd=0.")
        assert "limit_usd=100; window=day; resets_at=20" in (await till.headers(stream=True))[WARNING]
        assert (await till.read("/metrics")).count('soft_limits_total{scope="task",window="day"} 1.0') == 1


async def test_operators_see_every_budget(tmp_path: Path) -> None:
    """`/admin/budgets` those of each name too, by scope and name; `/status` and metrics those that have one."""
    async with AsyncExitStack() as stack:
        till = await open_till(stack, tmp_path, 'scope = "task"\namount = "100USD/day"')
        for task in ("a", "b", "b"):
            await till.ask(task=task)
        await till.settled()
        used = json.loads(await till.read("/admin/budgets"))["used"]
        assert [each["name"] for each in used] == ["b", "a"]
        assert used[0]["spent_usd"] > used[1]["spent_usd"]
        assert len(json.loads(await till.read("/admin/budgets?scope=task&name=a&most=5"))["used"]) == 1
        assert json.loads(await till.read("/admin/budgets?scope=team"))["used"] == []
        for wrong in ("scope=nobody", "most=0", "who=me"):
            assert "error" in json.loads(await till.read(f"/admin/budgets?{wrong}"))
        assert json.loads(await till.read("/status"))["budgets"]["used"] == []
        await till.recalled()
        assert "[+]budgets ok" in await till.read("/readyz?verbose")
