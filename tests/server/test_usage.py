"""`GET /admin/usage`: the reports of the command, over HTTP."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from streamroute.app import App
from streamroute.config.load import load_config
from streamroute.core.cost.report import UsageQuery, UsageRow
from streamroute.server import usage
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.rig import Rig
from tests.support.serve_process import provider_table

PRICES = "price = { input_per_mtok = 1, output_per_mtok = 2 }"


@asynccontextmanager
async def office(folder: Path, *, more: str = "") -> AsyncIterator[tuple[App, aiohttp.ClientSession]]:
    """Open a sidecar with a ledger in which three requests are written down."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(SimulationServer(None, profile=Profile(tokens=4)))
        file = folder / "config.toml"
        file.write_text(
            f'version = 1\n[ledger]\nurl = "sqlite:///ledger.db"\nflush_interval_s = 0.02\n{more}'
            f'{provider_table("a", provider.base_url)}{PRICES}\n[routes.chat]\nupstreams = ["a"]\n'
        )
        app = await stack.enter_async_context(
            App(load_config(file, environ={"KEY": "k1"}, overrides={"server.listen": "127.0.0.1:0"}))
        )
        headers = {"Authorization": "Bearer k1"} if more else {}
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        for task in ("=sum", "b", "b"):
            body = {"model": "chat", "metadata": {"task": task}, "messages": [{"role": "user", "content": "Hello."}]}
            async with session.post(f"{app.url}/v1/chat/completions", json=body) as response:
                assert response.status == 200
        assert app.bookkeeping is not None
        for _ in range(500):
            if app.bookkeeping.figures().written == 6:
                break
            await asyncio.to_thread(threading.Event().wait, 0.01)
        yield app, session


async def get(app: App, session: aiohttp.ClientSession, question: str) -> tuple[int, str, str]:
    async with session.get(f"{app.url}/admin/usage{question}") as response:
        return response.status, response.content_type, await response.text()


async def test_json_and_csv(tmp_path: Path) -> None:
    """The same rows as the command prints."""
    async with office(tmp_path) as (app, session):
        status, kind, text = await get(app, session, "?by=task&baseline=a&waste=1")
        rows = json.loads(text, parse_float=Decimal)
        assert (status, kind) == (200, "application/json")
        assert {row["task"]: (row["requests"], row["attempts"]) for row in rows} == {"=sum": (1, 1), "b": (2, 2)}
        assert all(row["cost_usd"] == row["baseline_usd"] > 0 == row["wasted_usd"] for row in rows)
        status, kind, text = await get(app, session, "?by=task&format=csv&since=1h")
        assert (status, kind) == (200, "text/csv")
        head, *lines = text.splitlines()
        assert head == "task,requests,attempts,input_tokens,output_tokens,cost_usd,unpriced_attempts"
        assert sorted(line.split(",")[:3] for line in lines) == [["'=sum", "1", "1"], ["b", "2", "2"]]
        assert json.loads((await get(app, session, "?by=&task=b"))[2])[0]["requests"] == 2
        assert (await get(app, session, "?until=2020-01-01"))[2] == "[]\n"


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("?by=colour", "'colour' is none of task"),
        ("?by=tier", "service_tier, cause"),
        ("?since=soon", "neither 24h, 7d nor a date"),
        ("?colour=red", "There is no 'colour' here"),
        ("?format=xml", "json or csv"),
        ("?baseline=nobody", "nobody knows the price of 'nobody'"),
    ],
)
async def test_mistakes_are_named(tmp_path: Path, question: str, said: str) -> None:
    """As 400."""
    async with office(tmp_path) as (app, session):
        status, _, text = await get(app, session, question)
        assert status == 400
        assert said in json.loads(text)["error"]["message"]


async def test_who_may(tmp_path: Path) -> None:
    """Whoever has a key, where keys are asked for; nobody by POST."""
    async with office(tmp_path, more='[server]\napi_keys = ["${KEY}"]\n') as (app, session):
        assert (await get(app, session, ""))[0] == 200
        async with aiohttp.ClientSession() as stranger:
            assert (await get(app, stranger, ""))[0] == 401
        async with session.post(f"{app.url}/admin/usage") as response:
            assert response.status == 405
        async with session.head(f"{app.url}/admin/usage") as response:
            assert (response.status, await response.read()) == (200, b"")


async def test_without_a_ledger() -> None:
    """404 says why."""
    async with Rig.of(None) as rig:
        assert (await get(rig.app, rig.session, ""))[0] == 404


async def test_a_ledger_that_cannot_be_read(tmp_path: Path) -> None:
    """503, and clients are answered."""
    async with office(tmp_path) as (app, session):
        assert app.bookkeeping is not None
        await app.bookkeeping.aclose()
        await asyncio.to_thread((tmp_path / "ledger.db").unlink)
        status, _, text = await get(app, session, "")
        assert (status, json.loads(text)["error"]["code"]) == (503, "ledger_unavailable")


async def test_few_reports_at_a_time_and_none_on_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third is refused; while two are made, everything else is served."""
    may_go_on, begun = threading.Event(), threading.Semaphore(0)

    def slow(query: UsageQuery, timeout_s: float) -> list[UsageRow]:
        begun.release()
        assert may_go_on.wait(10)
        return [UsageRow(by=(f"m{i}",), requests=i) for i in range(1000)]

    async with office(tmp_path) as (app, session):
        monkeypatch.setattr(app.site._operator_paths["/admin/usage"], "_read", slow)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(get(app, session, "?by=model")) for _ in range(usage.MAX_REPORTS)]
            for _ in asked:
                await asyncio.to_thread(begun.acquire)
            status, _, text = await get(app, session, "?by=model")
            assert (status, json.loads(text)["error"]["code"]) == (429, "reports_busy")
            may_go_on.set()
        for each in asked:
            assert each.result()[0] == 200
            assert len(json.loads(each.result()[2])) == 1000
        assert (await get(app, session, "?by=model"))[0] == 200
