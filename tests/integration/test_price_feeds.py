"""Live prices in a running sidecar: what steers, what is charged and what operators see go by the same ones."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from streamroute.clock import wall, wall_iso
from streamroute.config.model import Config
from streamroute.core.money import in_usd
from streamroute.core.observation import AttemptObservation, Observation
from streamroute.core.upstream import TokenPrice
from streamroute.feeds.options import FeedOptions
from tests.support.rig import Rig


def document(age_s: float = 0.0, **usd: float) -> str:
    prices = [{"upstream": name, "input_per_mtok": each, "output_per_mtok": each} for name, each in usd.items()]
    return json.dumps({"version": 1, "as_of": wall_iso(wall() - age_s), "prices": prices})


def with_feed(config: Config, file: Path) -> Config:
    """Return the configuration with prices of one dollar, and a feed."""
    price = TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(1))
    feed = FeedOptions(name="spot", url=str(file), poll_interval_s=1, max_age_s=100)
    return replace(
        config,
        upstreams={name: replace(each, price=price) for name, each in config.upstreams.items()},
        price_feeds=(feed,),
    )


async def reads(rig: Rig) -> dict[str, float]:
    """Let all feeds be read, and return what new decisions see."""
    await rig.app.prices.feeds.open()
    upstreams = rig.app.dispatcher.directory.catalog.upstreams
    return {name: float(each.price.input_per_mtok) for name, each in upstreams.items() if each.price is not None}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with Rig.of(None, None, steering="balanced") as rig:
        yield rig


async def test_steering_and_accounting_see_the_same_price(rig: Rig, tmp_path: Path) -> None:
    """From the moment that the feed has said it; a cheap upstream is drawn more often, and its calls cost little."""
    file = tmp_path / "spot.json"
    file.write_text(document(a=1.5))
    seen: list[AttemptObservation] = []

    def listen(observation: Observation) -> None:
        if isinstance(observation, AttemptObservation):
            seen.append(observation)

    rig.app.bus.subscribe(listen)
    await rig.app.reload(with_feed(rig.app.config, file))
    assert await reads(rig) == {"a": 1.5, "b": 1}
    reply = await rig.ask(stream=False, model="a")
    charged = seen[-1].charged
    assert reply.status == 200
    assert charged is not None
    assert charged.price_source == "feed spot"
    tokens = charged.usage.input_tokens + charged.usage.output_tokens
    assert in_usd(charged.cost or 0) == tokens * Decimal("0.0000015")
    file.write_text(document(a=500, b=0.01))
    assert await reads(rig) == {"a": 500, "b": 0.01}
    headers = {"x-streamroute-explain": "1", "x-streamroute-class": "batch"}
    body = {"model": "chat", "messages": [{"role": "user", "content": "x"}]}
    async with rig.session.post(f"{rig.app.url}/v1/chat/completions", json=body, headers=headers) as response:
        shares = {each["upstream"]: each["share"] for each in (await response.json())["candidates"]}
    assert shares["b"] > 0.95


async def test_operators_see_what_is_wrong_with_a_feed(rig: Rig, tmp_path: Path) -> None:
    """Stale prices are marked in what calls cost, in `/readyz?verbose`, in `/status` and in metrics; answers go on."""
    file = tmp_path / "spot.json"
    file.write_text(document(a=2, age_s=150))
    await rig.app.reload(with_feed(rig.app.config, file))
    assert await reads(rig) == {"a": 2, "b": 1}
    async with rig.session.get(f"{rig.app.url}/readyz?verbose") as response:
        assert response.status == 200
        assert "price feed spot (STALE, 150 s old)" in (text := await response.text()), text
    file.write_text("{")
    await reads(rig)
    async with rig.session.get(f"{rig.app.url}/status") as response:
        feed = (await response.json())["price_feeds"][0]
    assert feed["state"] == "stale"
    assert feed["trouble"].startswith("it is not JSON")
    async with rig.session.get(f"{rig.app.url}/metrics") as response:
        assert 'streamroute_price_feed_stale{feed="spot"} 1.0' in await response.text()
    await rig.app.reload(replace(rig.app.config, price_feeds=()))
    assert await reads(rig) == {"a": 1, "b": 1}
    assert (await rig.ask(stream=True)).is_done


async def test_a_price_that_is_absurd_is_not_believed(rig: Rig, tmp_path: Path) -> None:
    """More than a thousand times the configured one: the configured one counts."""
    file = tmp_path / "spot.json"
    file.write_text(document(a=1001, b=2))
    await rig.app.reload(with_feed(rig.app.config, file))
    assert await reads(rig) == {"a": 1, "b": 1}
    assert "a: input_per_mtok 1001" in (rig.app.prices.figures()[0].trouble or "")
