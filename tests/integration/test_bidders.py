"""Bidders on real sockets: asked beside a request, believed as far as their promises hold."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.telemetry.logs import configure_logs
from tests.support.bidder import TestBidder
from tests.support.sdk_scene import PROMPT, Scene, open_scene
from tests.support.serve_process import provider_table


@dataclass(slots=True)
class Bench(Scene):
    """A sidecar with two upstreams, and a bidder for one of them."""

    bidder: TestBidder

    async def asked(self, **needs: object) -> tuple[str, str]:
        """Return who answered, and the id of the decision."""
        response = await self.client.chat.completions.with_raw_response.create(
            model="auto",
            messages=[{"role": "user", "content": PROMPT}],
            extra_body={"streamroute": {"policy": "quality", **needs}},
        )
        return response.parse().model.removeprefix("model-"), response.headers["x-streamroute-decision-id"]

    async def told(self, path: str) -> dict[str, Any]:
        """Read something that is for operators."""
        raw = await self.client.with_options(base_url=self.app.url).get(path, cast_to=object)
        assert isinstance(raw, dict)
        return raw

    async def bid_on(self, id_: str, upstream: str) -> dict[str, Any]:
        bids = (await self.told(f"/status/decisions/{id_}"))["matched"]["bids"]
        return next(each for each in bids if each["upstream"] == upstream)  # type: ignore[no-any-return]


Open = Callable[..., AbstractAsyncContextManager[Bench]]


@pytest.fixture
def bench(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def opened(timeout_s: float = 1.0) -> AsyncIterator[Bench]:
        profile = Profile(tpot_s=0.001, tokens=6)
        async with (
            SimulationServer(profile=profile) as own,
            SimulationServer(profile=profile) as spot,
            TestBidder.running() as bidder,
        ):
            text = 'version = 1\n[ledger]\nurl = "off"\n'
            for name, provider, quality in (("own", own, 0.8), ("spot", spot, 0.7)):
                text += (
                    f"{provider_table(name, provider.base_url)}quality = {quality}\n"
                    "price = { input_per_mtok = 1, output_per_mtok = 1 }\n"
                )
            text += (
                f'[[routing.bidders]]\nname = "market"\nbid_url = "{bidder.url}"\nupstreams = ["spot"]\n'
                f"timeout_s = {timeout_s}\n"
            )
            configure_logs("warning", "json")
            async with open_scene(text, tmp_path) as scene:
                yield Bench(scene.app, scene.client, tmp_path, bidder)

    return opened


async def test_a_bid_decides_and_is_explained(bench: Open) -> None:
    """Its quality counts beside ours; it is asked about the question, and does not see its text."""
    async with bench() as it:
        assert (await it.asked())[0] == "own"
        it.bidder.bid("spot", quality=1.0, cost_usd=0.0001, ttft_s=0.2)
        who, id_ = await it.asked(min_quality=0.5)
        assert who == "spot"
        bid = await it.bid_on(id_, "spot")
        assert (bid["bidder"], bid["promised"]) == ("market", 1.0)
        assert bid["quality"] == {"mean": 0.85, "sd": 0.0354, "source": "configured, bid of market"}
        assert bid["cost_usd"] != 0.0001, "the price is known, and what is paid is not the bidder's to say"
        asked = it.bidder.asked[-1]
        assert (asked["version"], asked["upstreams"], asked["requirements"]) == (
            1,
            ["spot"],
            {"min_quality": 0.5, "policy": "quality"},
        )
        assert asked["features"]["language"] == ""
        assert "rivers" not in orjson.dumps(it.bidder.asked).decode()


async def test_requests_that_no_bidder_is_for(bench: Open) -> None:
    """An upstream that is named, and a route of another kind, ask nobody."""
    async with bench() as it:
        await it.client.chat.completions.create(model="spot", messages=[{"role": "user", "content": PROMPT}])
        assert it.bidder.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"bids": {}}',
        b'{"bids": [], "more": 1}',
        b'{"bids": [{"upstream": "own", "quality": 1}]}',
        b'{"bids": [{"upstream": "spot", "quality": 1.01}]}',
        b'{"bids": [{"upstream": "spot", "quality": true}]}',
        b'{"bids": [{"upstream": "spot", "quality": 1, "price": 1}]}',
        b'{"bids": [{"upstream": "spot", "quality": 1}, {"upstream": "spot", "quality": 1}]}',
        b" " * (1 << 17),
    ],
)
async def test_a_broken_bid_is_ignored(bench: Open, capsys: pytest.CaptureFixture[str], body: bytes) -> None:
    """As a whole; the request goes on without it, and the log says why."""
    async with bench() as it:
        it.bidder.body = body
        assert (await it.asked())[0] == "own"
        assert len(it.bidder.asked) == 1
        assert "bidder.trouble" in capsys.readouterr().err


async def test_an_error_is_ignored(bench: Open, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever it says."""
    async with bench() as it:
        it.bidder.bid("spot", quality=1.0)
        it.bidder.status = 500
        assert (await it.asked())[0] == "own"
        assert "HTTP 500" in capsys.readouterr().err


async def test_a_late_bid_is_ignored_and_soon_not_waited_for(bench: Open) -> None:
    """Three in a row, and requests no longer ask it, but for one a second."""
    async with bench(timeout_s=0.02) as it:
        it.bidder.bid("spot", quality=1.0)
        it.bidder.may_answer.clear()
        for _ in range(12):
            assert (await it.asked())[0] == "own"
        assert len(it.bidder.asked) < 12
        it.bidder.may_answer.set()


async def test_promises_that_do_not_hold_lose_weight(bench: Open) -> None:
    """A bidder whose answers turn out worthless stops deciding."""
    async with bench() as it:
        it.bidder.bid("spot", quality=1.0)
        winners = []
        for _ in range(60):
            who, id_ = await it.asked()
            winners.append(who)
            if who == "spot":
                await it.client.post("/feedback", cast_to=object, body={"decision_id": id_, "score": 0})
        assert winners[0] == "spot"
        assert winners[-1] == "own"
        bid = await it.bid_on(id_, "spot")
        assert bid["quality"]["mean"] < 0.85
        (market,) = (await it.told("/status"))["bidders"]
        assert (market["name"], market["asked"], market["late"], market["trouble"]) == ("market", 60, 0, None)
        assert market["weight"] < 1.0 <= market["outcomes"]
