"""What an answer has cost, with all that was tried for it: in its header, in its usage, in `/status/decisions`."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson

from streamroute.core.money import NOTHING, usd_text
from streamroute.core.observation import AttemptObservation, Observation
from streamroute.core.upstream import TokenPrice
from streamroute.server.options import ServerOptions
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus
from tests.support.rig import PROMPT, Rig

PRICES = {"a": "3", "b": "0.7", "c": "0.1"}
USAGE = {"stream_options": {"include_usage": True}}


class Ledger:
    """Adds up what was charged."""

    def __init__(self, rig: Rig) -> None:
        self.seen: list[AttemptObservation] = []
        rig.app.bus.subscribe(self)

    def __call__(self, observation: Observation) -> None:
        if isinstance(observation, AttemptObservation):
            self.seen.append(observation)

    @property
    def total(self) -> str:
        costs = [each.charged.cost for each in self.seen if each.charged is not None]
        return usd_text(sum((cost for cost in costs if cost is not None), NOTHING))


async def priced(rig: Rig) -> Ledger:
    """Give the upstreams prices."""
    upstreams = {
        name: replace(each, price=TokenPrice(input_per_mtok=Decimal(PRICES[name]), output_per_mtok=Decimal(10)))
        for name, each in rig.app.config.upstreams.items()
    }
    await rig.app.reload(replace(rig.app.config, upstreams=upstreams))
    return Ledger(rig)


async def shown(rig: Rig, path: str) -> dict[str, Any]:
    async with rig.session.get(rig.app.url + path) as response:
        document: dict[str, Any] = orjson.loads(await response.read())
        return document


async def test_a_header_covers_every_call() -> None:
    """Of a race, where the losers end only when the answer is there: what is charged for them is in it."""
    async with Rig.of(None, None, None, plan="race") as rig:
        ledger = await priced(rig)
        reply = await rig.ask(stream=False)
        assert reply.headers["x-streamroute-cost-usd"] == ledger.total
        assert len(ledger.seen) >= 2


async def test_a_failure_says_what_it_cost() -> None:
    """Also where there is no answer at all, streamed or not; zero is a known cost."""
    async with Rig.of(ErrorStatus(status=500)) as rig:
        await priced(rig)
        for stream in (True, False):
            reply = await rig.ask(stream=stream)
            assert reply.status >= 500
            assert reply.headers["x-streamroute-cost-usd"] == "0"


async def test_a_stream_counts_what_was_tried_before() -> None:
    """Its usage names the sum of the call that was cut, by our count, and of the one that carried it on."""
    async with Rig.of(Cut(at_token=6), None) as rig:
        ledger = await priced(rig)
        reply = await rig.ask(stream=True, **USAGE)
        assert reply.joints == 1
        usage = next(each["usage"] for each in reply.events if each.get("usage"))
        assert isinstance(usage, dict)
        assert usage["cost"] == float(ledger.total)
        assert len(ledger.seen) == 2


async def test_whoever_does_not_want_it_switches_it_off() -> None:
    """Then usage is the provider's own, byte by byte; the header stays."""
    async with Rig.of(None, server=ServerOptions(cost_in_usage=False)) as rig:
        await priced(rig)
        reply = await rig.ask(stream=True, **USAGE)
        assert all("cost" not in (each.get("usage") or {}) for each in reply.events)
        body = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}]}
        async with rig.session.post(f"{rig.app.url}/v1/chat/completions", json=body) as response:
            assert "cost" not in orjson.loads(await response.read())["usage"]
            assert "x-streamroute-cost-usd" in response.headers


async def test_decisions_say_who_answered_and_what_it_cost() -> None:
    """In the list and one by one; each attempt with its own cost and where its price stands."""
    faults: list[Fault | None] = [ErrorStatus(status=500), None]
    async with Rig.of(*faults) as rig:
        ledger = await priced(rig)
        reply = await rig.ask(stream=False)
        line = (await shown(rig, "/status/decisions"))["decisions"][0]
        cost = float(ledger.total)
        assert (line["outcome"], line["answered_by"], line["cost_usd"]) == ("succeeded", "b", cost)
        one = await shown(rig, f"/status/decisions/{reply.headers['x-streamroute-decision-id']}")
        assert (one["outcome"], one["answered_by"], one["cost_usd"]) == ("succeeded", "b", cost)
        assert [each["cost_usd"] for each in one["attempts"]] == [0, cost]
        assert [each["price_source"] for each in one["attempts"]] == [None, "upstreams.b.price"]
