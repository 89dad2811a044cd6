"""The ledger against providers that keep their own bill: every call is on both, once, and the amounts are the same.

Every wire format that is simulated is asked, alone and beside the others: a new one is a row of `SPOKEN`.
"""

import asyncio
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
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
from streamroute.core.request import WireFormatName
from streamroute.core.upstream import TokenPrice
from streamroute.core.usage import Usage
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
WHOSE = re.compile(rb"river (u\d+)\.")
KINDS = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens", "reasoning_tokens")
TOKENS = 12
REASONING = 7
PRICE = TokenPrice(
    input_per_mtok=Decimal("0.75"),
    output_per_mtok=Decimal("4.5"),
    cached_input_per_mtok=Decimal("0.075"),
    cache_write_per_mtok=Decimal("0.9375"),
    cache_write_1h_per_mtok=Decimal("1.5"),
    reasoning_per_mtok=Decimal("5.25"),
    per_request=Decimal("0.0001"),
)
PRICE_TOML = (
    "price = { input_per_mtok = 0.75, output_per_mtok = 4.50, cached_input_per_mtok = 0.075, "
    "cache_write_per_mtok = 0.9375, cache_write_1h_per_mtok = 1.5, "
    "reasoning_per_mtok = 5.25, per_request = 0.0001 }"
)
COUNTING = Profile(tpot_s=0.001, tokens=TOKENS, cached_share=0.5, cache_write_share=0.2, reasoning_tokens=REASONING)
"""Of those that answer and of those that do not: who is told the count of the prompt at the beginning pays by it."""
SCRIPTS: dict[str, tuple[Fault | None, Profile]] = {
    "well": (None, COUNTING),
    "late": (None, replace(COUNTING, ttft_s=20.0)),
    "later": (None, replace(COUNTING, ttft_s=20.0)),
    "broken": (ErrorStatus(status=500), COUNTING),
    "cut": (Cut(at_token=5, how="close"), replace(COUNTING, tpot_s=0.004)),
    "silent": (Stall(at_token=4), replace(COUNTING, tpot_s=0.004)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What a bill in a wire format is read by."""

    counts_prompt_first: bool = False
    """The prompt is counted at the beginning of a stream."""
    counts_thoughts_first: bool = False
    """And so is the reasoning."""
    tells_writes: bool = True
    """What is written to the cache is counted by itself."""
    kept_share: Fraction = Fraction(0)
    """Of that, what stays for an hour."""


SPOKEN: dict[WireFormatName, Spoken] = {
    "openai_chat": Spoken(),
    "anthropic_messages": Spoken(counts_prompt_first=True, kept_share=Fraction(1, 2)),
    "gemini": Spoken(counts_prompt_first=True, counts_thoughts_first=True, tells_writes=False),
}
NAMES = list(SPOKEN)
ROUTES = {
    f"{name}-{one}": (plan, [f"{part}-{one}" for part in parts[:-1]] + [f"{parts[-1]}-{last}"])
    for one, other in zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True)
    for name, plan, parts, last in (
        ("plain", "failover", ["well"], one),
        ("failover", "failover", ["broken", "well"], other),
        ("hedge", "hedge", ["late", "well"], one),
        ("race", "race", ["later", "well"], other),
        ("rescue", "failover", ["cut", "well"], other),
        ("leave", "failover", ["silent"], one),
    )
}
"""By name and the format of the first upstream; where another helps out, it may speak another one."""
AT_ONCE = -(-20 // len(SPOKEN))
"""Of each kind: as many at once in all as a loop serves in time that also plays the providers and the clients, however
many formats there are. Else the sidecar gives up on answers that providers have sent, and so bill, in full."""


def config_text(providers: dict[str, SimulationServer]) -> str:
    text = 'version = 1\n[ledger]\nurl = "sqlite:///ledger.db"\n'
    # Else one format's hedge or race forbids the next one's.
    text += "[health]\nhedge_spend = { latency_critical = 1.0, interactive = 1.0 }\n"
    for name, provider in providers.items():
        spoken = f'wire_format = "{name.partition("-")[2]}"'
        text += provider_table(name, provider.base_url, more=spoken) + PRICE_TOML + "\n"
    for name, (plan, upstreams) in ROUTES.items():
        text += f'[routes.{name}]\nplan = "{plan}"\nupstreams = {orjson.dumps(upstreams).decode()}\n'
        is_hedge = name.startswith("hedge")
        spend = "latency_critical" if is_hedge else "interactive"  # a budget of its own
        text += f'latency_class = "{spend}"\nsteering = "preferred"\n'
        text += f"deadlines = {{ first_token_s = {3 if is_hedge else 5}, stall_s = 5 }}\n"
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
                if route.startswith("leave") and tokens == 4:
                    return


def content_of(line: bytes) -> str:
    choices = orjson.loads(line.removeprefix(b"data: ")).get("choices")
    return choices[0]["delta"].get("content") or "" if choices else ""


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    """Open it; the ledger is in `tmp_path`."""
    async with AsyncExitStack() as stack:
        providers = {
            f"{name}-{wire_format}": await stack.enter_async_context(
                SimulationServer(Script(profile=profile) if fault is None else fault, profile=profile)
            )
            for name, (fault, profile) in SCRIPTS.items()
            for wire_format in SPOKEN
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
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("rounds", "at_once"), [(3, 10), pytest.param(125, AT_ONCE, id="twenty-thousand")])
async def test_the_ledger_is_the_sum_of_the_bills(market: Market, tmp_path: Path, rounds: int, at_once: int) -> None:
    """Failures, hedges, races, continuations and clients that leave: what a provider has counted is charged to the
    last picodollar, what it has not by what it has sent, and the sums are the same by every grouping."""
    quiet = replace(market.app.config.health, is_probing=False)
    if rounds > 3:
        market.app.prober.policy.options = quiet
    asked = 0
    for route in filter(lambda name: name.startswith(("hedge", "race")), ROUTES):
        # Alone: nothing is spent or known yet that would forbid the other call.
        asked += 1
        await market.ask(f"u{asked}", route=route, stream=True)
    for _ in range(rounds):
        async with asyncio.TaskGroup() as tasks:
            for route in ROUTES:
                for stream in (True, False) if route.startswith(("plain", "failover")) else (True,):
                    for _ in range(at_once):
                        asked += 1
                        tasks.create_task(market.ask(f"u{asked}", route=route, stream=stream))
    market.app.prober.policy.options = quiet  # a probe under way would be on the bill and not yet in the ledger
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
            causes.add((record.wire_format, row.cause, row.outcome, row.is_counted))
            usage = billed(record, row)
            charged = {name: getattr(row, name) for name in KINDS}
            assert charged == {name: getattr(usage or Usage(), name) for name in KINDS}, (row, record)
            kinds.update(name for name in KINDS if getattr(row, name))
            cost = 0 if usage is None else price.cost(usage)
            assert row.cost == cost, row
            total += cost
    assert causes >= {
        (wire_format, *each)
        for wire_format, spoken in SPOKEN.items()
        for each in (
            ("first", "succeeded", True),
            ("first", "failed", False),
            # Who counts with every event has counted all that came; others are behind with a stream that was left.
            *([("first", "cancelled", False)] if not spoken.counts_thoughts_first else []),
            ("failover", "succeeded", True),
            ("race", "succeeded", True),
            ("hedge", "succeeded", True),
            ("continuation", "succeeded", True),
            *([("first", "cancelled", True)] if spoken.counts_prompt_first else []),
        )
    }
    assert kinds == set(KINDS)
    assert asked >= rounds * at_once * 8 * len(SPOKEN)
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
            asked_for = WHOSE.search(orjson.dumps(record.body))  # not every format has a place for users
            found[asked_for and asked_for[1].decode(), name].append(record)
    return found


def billed(record: RequestRecord, row: Row[Any]) -> Usage | None:
    """Return what a provider bills: what it counted; of streams that ended early what it sent.

    Three things only the sidecar can say of those: the prompt, where nobody told it the count; how much of what was
    sent had come when it cancelled: all of it, where the stream had fallen silent before; and that an error was still
    on its way when a call was no longer wanted, which is paid for as any that is cancelled.
    """
    if record.status not in {None, 200} and row.outcome == "cancelled":
        assert row.output_tokens == 0
        return Usage(input_tokens=row.input_tokens)
    if record.status != 200 and record.ending != "client_closed":
        return None
    spoken, profile = SPOKEN[record.wire_format], SCRIPTS[row.upstream.partition("-")[0]][1]
    prompt = record.prompt_tokens
    written = int(prompt * profile.cache_write_share) if spoken.tells_writes else 0
    counted = Usage(
        input_tokens=prompt,
        cached_input_tokens=int(prompt * profile.cached_share),
        cache_write_tokens=written,
        cache_write_1h_tokens=int(written * spoken.kept_share),
    )
    if record.ending == "answered":
        reasoning = profile.reasoning_tokens
        said = record.tokens_sent + (reasoning if record.stream else 0)  # a whole answer's count has it already
        return replace(counted, output_tokens=said, reasoning_tokens=reasoning)
    if record.ending == "fault" and not record.tokens_sent and not spoken.counts_prompt_first:
        return None  # it broke off by itself before it said or counted anything
    assert row.input_tokens > 0
    was_told = spoken.counts_prompt_first and (row.is_counted or row.output_tokens > 0)
    thoughts = profile.reasoning_tokens if was_told and spoken.counts_thoughts_first else 0
    was_speaking = row.outcome == "cancelled" and record.fault == "cut"
    said = record.tokens_sent + thoughts
    return replace(
        counted if was_told else Usage(input_tokens=row.input_tokens),
        output_tokens=min(row.output_tokens, said) if was_speaking else said,
        reasoning_tokens=thoughts,
    )
