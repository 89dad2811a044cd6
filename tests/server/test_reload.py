"""SIGHUP's effect on a running sidecar: what changes, and what stays."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from streamroute.core.health.options import HealthOptions
from streamroute.core.upstream import ProviderName, Route, TokenPrice, Upstream, UpstreamId
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from tests.support.rig import Rig

LEARNED = 12
"""Requests after which an upstream's normal is known."""


async def status_of(rig: Rig) -> dict[str, Any]:
    async with rig.session.get(f"{rig.app.url}/status") as response:
        document: dict[str, Any] = await response.json()
        return document


async def test_reload_is_for_new_requests() -> None:
    """A running stream ends as it began; the next request sees the new configuration, health is kept."""
    async with Rig.of(None, None) as rig:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(rig.ask(stream=True))
            await rig.providers[0].wait_until(lambda: rig.providers[0].in_flight == 1)
            route = Route(name="other", upstreams=(UpstreamId("b"),))
            await rig.app.reload(replace(rig.app.config, routes={"other": route}))
        assert running.result().text == rig.expected_text
        assert (await rig.ask(stream=True)).status == 404
        assert (await rig.ask(stream=True, model="other")).headers["x-streamroute-upstream"] == "b"
        async with rig.session.get(f"{rig.app.url}/status") as response:
            assert (await response.json())["upstreams"]["a"]["attempts"]["succeeded"] == 1


async def test_health_options_hold_for_upstreams_that_are_known() -> None:
    """Thresholds, hedge money and probes are those of the new file; what was learned of upstreams stays."""
    async with Rig.of(None, None) as rig:
        for _ in range(LEARNED):
            await rig.ask(stream=True)
        before = await status_of(rig)
        options = HealthOptions(
            slo_factor=4.0, false_steers_per_hour=60.0, is_probing=False, hedge_spend={"interactive": 0.0}
        )
        await rig.app.reload(replace(rig.app.config, health=options))
        after = await status_of(rig)
        at = asyncio.get_running_loop().time()
        allowed = rig.app.dispatcher.budget.may_hedge("interactive", 0.0, at, 0)
        evidence = rig.app.dispatcher.board.health(UpstreamId("a"), at).evidence
    assert (after["health"]["slo_factor"], after["prober"]["is_probing"]) == (4.0, False)
    a, was = after["upstreams"]["a"], before["upstreams"]["a"]
    penalties = [each["expected"].pop("penalty") for each in (a, was)]  # of the moment, and by the new thresholds
    assert (a["attempts"]["total"], a["expected"], a["expected"]["is_cold"]) == (LEARNED, was["expected"], False)
    assert max(penalties) < 0.1
    assert a["evidence"]["threshold_nats"] < was["evidence"]["threshold_nats"]
    assert evidence.slo_ln > 1.38
    assert not allowed


async def test_a_rejected_key_is_tried_again() -> None:
    """A reload is how a person says that the key is right now; the upstream comes back beside users' requests."""
    wants_key = Script(profile=Profile(tokens=4, api_key="right-key"))
    async with Rig.of(wants_key, None) as rig:
        await rig.ask(stream=True)
        assert (await status_of(rig))["upstreams"]["a"]["standing"] == "auth_failed"
        a = replace(rig.app.config.providers[ProviderName("a")], api_key="right-key")
        await rig.app.reload(replace(rig.app.config, providers={**rig.app.config.providers, a.name: a}))
        assert (await status_of(rig))["upstreams"]["a"]["breaker"]["state"] == "half_open"
        for _ in range(8):
            await rig.ask(stream=True)
            await rig.settled()
        assert rig.providers[0].log[-1].status == 200
        assert (await status_of(rig))["upstreams"]["a"]["breaker"]["state"] == "ramping"


async def test_a_price_that_is_gone_is_charged_to_calls_under_way_alone() -> None:
    """What the next call costs nobody knows, from this reload on."""

    def priced(upstreams: Mapping[UpstreamId, Upstream], price: TokenPrice | None) -> dict[UpstreamId, Upstream]:
        return {name: replace(each, price=price) for name, each in upstreams.items()}

    async with Rig.of(None) as rig:
        provider, config = rig.providers[0], rig.app.config
        price = TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(1))
        await rig.app.reload(replace(config, upstreams=priced(config.upstreams, price)))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(rig.ask(stream=False))
            await provider.wait_until(lambda: provider.in_flight == 1)
            await rig.app.reload(config)
        assert running.result().headers["x-streamroute-cost-usd"] != "0"
        assert "x-streamroute-cost-usd" not in (await rig.ask(stream=False)).headers
