"""The ledger against providers that keep their own bill: every call is on both, once, and the amounts are the same."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from sqlalchemy import Row, select

from streamroute.app import App
from streamroute.config.load import load_config
from streamroute.core.cost.price import Price
from streamroute.core.cost.report import GROUPINGS, Grouping
from streamroute.core.upstream import TokenPrice
from streamroute.core.usage import Usage
from streamroute.simulation.chat_body import read_chat_body
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults.cut import Cut
from streamroute.simulation.faults.error_status import ErrorStatus
from streamroute.simulation.faults.stall import Stall
from streamroute.simulation.profile import Profile
from streamroute.simulation.record import RequestRecord
from streamroute.simulation.script import Script
from streamroute.simulation.server import SimulationServer
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.schema import ATTEMPTS
from streamroute.stores.usage import read_usage
from tests.support.serve_process import provider_table

Key = tuple[object, str]
KINDS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
TOKENS = 12
REASONING = 7
PRICE = TokenPrice(
    input_per_mtok=Decimal("0.75"),
    output_per_mtok=Decimal("4.5"),
    cached_input_per_mtok=Decimal("0.075"),
    reasoning_per_mtok=Decimal("5.25"),
    per_request=Decimal("0.0001"),
)
PRICE_TOML = (
    "price = { input_per_mtok = 0.75, output_per_mtok = 4.50, cached_input_per_mtok = 0.075, "
    "reasoning_per_mtok = 5.25, per_request = 0.0001 }"
)
SCRIPTS: dict[str, tuple[Fault | None, Profile]] = {
    "well": (None, Profile(tpot_s=0.001, tokens=TOKENS, cached_share=0.5, reasoning_tokens=REASONING)),
    "late": (None, Profile(ttft_s=20.0, tokens=TOKENS)),
    "later": (None, Profile(ttft_s=20.0, tokens=TOKENS)),
    "broken": (ErrorStatus(status=500), Profile(tokens=TOKENS)),
    "cut": (Cut(at_token=5, how="close"), Profile(tpot_s=0.004, tokens=TOKENS)),
    "silent": (Stall(at_token=4), Profile(tpot_s=0.004, tokens=TOKENS)),
}
ROUTES = {
    "plain": ("failover", ["well"]),
    "failover": ("failover", ["broken", "well"]),
    "hedge": ("hedge", ["late", "well"]),
    "race": ("race", ["later", "well"]),
    "rescue": ("failover", ["cut", "well"]),
    "leave": ("failover", ["silent"]),
}


def config_text(providers: dict[str, SimulationServer]) -> str:
    text = 'version = 1\n[ledger]\nurl = "sqlite:///ledger.db"\n'
    for name, provider in providers.items():
        text += provider_table(name, provider.base_url) + PRICE_TOML + "\n"
    for name, (plan, upstreams) in ROUTES.items():
        text += f'[routes.{name}]\nplan = "{plan}"\nupstreams = {orjson.dumps(upstreams).decode()}\n'
        spend = "latency_critical" if name == "hedge" else "interactive"  # a budget of its own
        text += f'latency_class = "{spend}"\nsteering = "preferred"\n'
        text += f"deadlines = {{ first_token_s = {3 if name == 'hedge' else 5}, stall_s = 5 }}\n"
    return text


@dataclass(slots=True)
class Market:
    """Providers, the sidecar before them, and a client."""

    providers: dict[str, SimulationServer]
    app: App
    session: aiohttp.ClientSession

    async def ask(self, label: str, *, route: str, stream: bool) -> None:
        """Send one request to its end, or leave a stream that has fallen silent after four tokens."""
        body = {
            "model": route,
            "stream": stream,
            "user": label,
            "metadata": {"task": route, "team": "north" if stream else "south"},
            "messages": [{"role": "user", "content": f"Tell me about river {label}."}],
        }
        async with self.session.post(f"{self.app.url}/v1/chat/completions", json=body) as response:
            assert response.status == 200, await response.text()
            tokens = 0
            async for line in response.content:
                tokens += line.startswith(b"data: {") and bool(content_of(line))
                if route == "leave" and tokens == 4:
                    return


def content_of(line: bytes) -> str:
    choices = orjson.loads(line.removeprefix(b"data: ")).get("choices")
    return choices[0]["delta"].get("content") or "" if choices else ""


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    """Open it; the ledger is in `tmp_path`."""
    async with AsyncExitStack() as stack:
        providers = {
            name: await stack.enter_async_context(
                SimulationServer(Script(profile=profile) if fault is None else fault, profile=profile)
            )
            for name, (fault, profile) in SCRIPTS.items()
        }
        for provider in providers.values():
            provider._provider.log = deque()  # a bill has no end, unlike the log
        file = tmp_path / "config.toml"
        file.write_text(config_text(providers))
        app = await stack.enter_async_context(
            App(load_config(file, environ={}, overrides={"server.listen": "127.0.0.1:0"}))
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Market(providers, app, session)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("rounds", "at_once"), [(3, 10), pytest.param(125, 20, id="twenty-thousand")])
async def test_the_ledger_is_the_sum_of_the_bills(market: Market, tmp_path: Path, rounds: int, at_once: int) -> None:
    """Failures, hedges, races, continuations and clients that leave: what a provider has counted is charged to the
    last picodollar, what it has not by what it has sent, and the sums are the same by every grouping."""
    if rounds > 3:  # a probe under way at the end would be on the bill and not yet in the ledger
        market.app.prober.policy.options = replace(market.app.config.health, is_probing=False)
    asked = 0
    for route in ("hedge", "race"):  # alone: nothing is spent or known yet that would forbid the other call
        asked += 1
        await market.ask(f"u{asked}", route=route, stream=True)
    for _ in range(rounds):
        async with asyncio.TaskGroup() as tasks:
            for route in ROUTES:
                for stream in (True, False) if route in {"plain", "failover"} else (True,):
                    for _ in range(at_once):
                        asked += 1
                        tasks.create_task(market.ask(f"u{asked}", route=route, stream=stream))
    for provider in market.providers.values():
        await provider.wait_until(lambda provider=provider: provider.in_flight == 0, 60)
    await market.app.dispatcher.idle()
    assert market.app.bookkeeping is not None
    await market.app.bookkeeping.aclose()
    url = f"sqlite:///{tmp_path}/ledger.db"

    rows, bills = ledger_rows(url), records(market)
    assert {key: len(found) for key, found in rows.items()} == {key: len(found) for key, found in bills.items()}
    price, total = Price.of(PRICE), 0
    causes, kinds = set(), set()
    for key, found in rows.items():
        for row, record in zip(found, bills[key], strict=True):
            causes.add((row.cause, row.outcome, row.is_counted))
            usage = billed(record, row)
            charged = Usage(**{name: getattr(row, name) for name in KINDS})
            assert charged == (usage or Usage()), (row, record)
            kinds.update(name for name in KINDS if getattr(row, name))
            cost = 0 if usage is None else price.cost(usage)
            assert row.cost == cost, row
            total += cost
    assert causes >= {
        ("first", "succeeded", True),
        ("first", "failed", False),
        ("first", "cancelled", False),
        ("failover", "succeeded", True),
        ("race", "succeeded", True),
        ("hedge", "succeeded", True),
        ("continuation", "succeeded", True),
    }
    assert kinds == set(KINDS)
    assert asked >= rounds * at_once * 8
    one_by_one: list[list[Grouping]] = [[each] for each in GROUPINGS]
    for by in ([], *one_by_one, list(GROUPINGS)):
        sums = read_usage(url, by)
        assert sum(each.cost for each in sums) == total, by
        assert sum(each.requests for each in sums) == asked, by
        assert sum(each.attempts for each in sums) == sum(map(len, bills.values())), by
    assert {each.by for each in read_usage(url, ["team"])} >= {("north",), ("south",)}, "and none, of probes"


def ledger_rows(url: str) -> dict[Key, list[Row[Any]]]:
    """Return the attempts by user and upstream, in order."""
    rows = defaultdict(list)
    engine = open_engine(url, is_reader=True)
    with transaction(engine) as connection:
        for row in connection.execute(select(ATTEMPTS).order_by(ATTEMPTS.c.attempt)):
            rows[row.user, row.upstream].append(row)
    engine.dispose()
    return rows


def records(market: Market) -> dict[Key, list[RequestRecord]]:
    """Return what the providers have seen, likewise."""
    found = defaultdict(list)
    for name, provider in market.providers.items():
        for record in provider.log:
            assert record.body is not None
            found[record.body.get("user"), name].append(record)
    return found


def billed(record: RequestRecord, row: Row[Any]) -> Usage | None:
    """Return what a provider bills: what it counted; of streams that ended early what it sent.

    Two things only the sidecar can say of those: the prompt, for nobody told it the count, and how much of what was
    sent had come when it cancelled: all of it, where the stream had fallen silent before.
    """
    if record.status != 200 and record.ending != "client_closed":
        return None
    if record.ending == "answered":
        prompt = read_chat_body(orjson.dumps(record.body)).prompt_tokens
        if row.upstream != "well":
            return Usage(input_tokens=prompt, output_tokens=record.tokens_sent)
        said = record.tokens_sent + (REASONING if record.stream else 0)  # a whole answer's count has it already
        return Usage(
            input_tokens=prompt, output_tokens=said, cached_input_tokens=prompt // 2, reasoning_tokens=REASONING
        )
    assert row.input_tokens > 0
    was_speaking = row.outcome == "cancelled" and record.fault == "cut"
    output_tokens = min(row.output_tokens, record.tokens_sent) if was_speaking else record.tokens_sent
    return Usage(input_tokens=row.input_tokens, output_tokens=output_tokens)
