"""What a request has cost stands on its answer, and beside its decision."""

from decimal import Decimal
from pathlib import Path
from typing import Self

import aiohttp
import openai

from streamroute.app import App
from streamroute.config.load import load_config
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.stores.usage import read_usage

QUESTION = [{"role": "user", "content": "Tell me about rivers."}]


class Shop:
    """One or two providers with prices, and a ledger."""

    def __init__(self, folder: Path, *faults: Fault | None, more: str = "", price: str = "", route: str = "") -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/ledger.db"
        self.servers = [SimulationServer(fault, profile=Profile(tpot_s=0.001, tokens=12)) for fault in faults]
        self._more = more
        self._route = route
        self._price = price or "price = { input_per_mtok = 0.5, output_per_mtok = 2.25 }"

    async def __aenter__(self) -> Self:
        tables = ""
        for name, server in zip("ab", self.servers, strict=False):
            await server.__aenter__()
            tables += (
                f'[providers.{name}]\nkind = "openai_compatible"\nbase_url = "{server.base_url}"\n'
                f'[upstreams.{name}]\nprovider = "{name}"\nmodel = "m"\n{self._price}\n'
            )
        names = list("ab")[: len(self.servers)]
        file = self.folder / "config.toml"
        file.write_text(
            f'version = 1\n[ledger]\nurl = "{self.url}"\n[server]\nlisten = "127.0.0.1:0"\n{self._more}{tables}'
            f"[routes.chat]\nupstreams = {names}\n{self._route}"
        )
        self.app = await App(load_config(file, environ={})).__aenter__()
        self.session = aiohttp.ClientSession()
        self.client = openai.AsyncOpenAI(base_url=f"{self.app.url}/v1", api_key="none", max_retries=0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self.session.close()
        await self.app.__aexit__(None, None, None)
        for server in self.servers:
            await server.aclose()

    async def decision(self, id_: str) -> dict[str, object]:
        async with self.session.get(f"{self.app.url}/status/decisions{id_ and '/' + id_}") as response:
            document: dict[str, object] = await response.json()
        return document

    def on_the_ledger(self) -> Decimal:
        [row] = read_usage(self.url, [])
        return Decimal(row.cost).scaleb(-12)


async def test_a_whole_answer_has_a_header(tmp_path: Path) -> None:
    """The sum that the ledger comes to, exactly; in the list of decisions too."""
    async with Shop(tmp_path, ErrorStatus(status=500), None) as shop:
        raw = await shop.client.chat.completions.with_raw_response.create(model="chat", messages=QUESTION)  # type: ignore[arg-type]
        usage = raw.parse().usage
        assert usage is not None
        expected = (Decimal("0.5") * usage.prompt_tokens + Decimal("2.25") * usage.completion_tokens) / 10**6
        assert Decimal(raw.headers["x-streamroute-cost-usd"]) == expected
        assert usage.cost == float(expected)  # type: ignore[attr-defined]
        one = await shop.decision(raw.headers["x-streamroute-decision-id"])
        assert Decimal(str(one["cost_usd"])) == expected
        assert [each["cost_usd"] for each in one["attempts"]] == ["0", str(one["cost_usd"])]  # type: ignore[attr-defined]
        assert [each["price_source"] for each in one["attempts"]] == [None, "upstreams.b.price"]  # type: ignore[attr-defined]
        [line] = (await shop.decision(""))["decisions"]  # type: ignore[misc]
        assert (line["answered_by"], line["attempts"], line["cost_usd"]) == ("b", 2, str(one["cost_usd"]))
        assert (line["outcome"], one["outcome"], one["answered_by"]) == ("succeeded", "succeeded", "b")
    assert shop.on_the_ledger() == expected


async def last_usage(shop: Shop, *, wants_usage: bool = True) -> openai.types.CompletionUsage | None:
    """Ask for a stream, and return the usage at its end."""
    found = None
    stream = await shop.client.chat.completions.create(
        model="chat",
        messages=QUESTION,  # type: ignore[arg-type]
        stream=True,
        stream_options={"include_usage": wants_usage},
    )
    async for chunk in stream:
        found = chunk.usage or found
    return found


async def test_a_stream_tells_it_with_its_usage(tmp_path: Path) -> None:
    """The official SDK reads it; who did not ask for usage gets none."""
    async with Shop(tmp_path, None) as shop:
        usage = await last_usage(shop)
        assert usage is not None
        told = Decimal(str(usage.cost))  # type: ignore[attr-defined]
        assert await last_usage(shop, wants_usage=False) is None
    assert shop.on_the_ledger() == 2 * told


async def test_a_rescued_stream_tells_the_cost_of_all_its_calls(tmp_path: Path) -> None:
    """The leg that broke off is paid for, too."""
    async with Shop(tmp_path, Cut(at_token=4), None) as shop:
        usage = await last_usage(shop)
        assert usage is not None
        told = Decimal(str(usage.cost))  # type: ignore[attr-defined]
    assert shop.on_the_ledger() == told


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    """Some clients insist on the usage that they know."""
    async with Shop(tmp_path, None, more="cost_in_usage = false\n") as shop:
        usage = await last_usage(shop)
        assert usage is not None
        assert not hasattr(usage, "cost")
        whole = await shop.client.chat.completions.create(model="chat", messages=QUESTION)  # type: ignore[arg-type]
        assert whole.usage is not None
        assert not hasattr(whole.usage, "cost")


async def test_the_losers_of_a_race_are_on_the_header(tmp_path: Path) -> None:
    """They end when the answer is there, and are charged by then: the header is the sum of the ledger."""
    async with Shop(tmp_path, None, None, route='plan = "race"\n') as shop:
        raw = await shop.client.chat.completions.with_raw_response.create(model="chat", messages=QUESTION)  # type: ignore[arg-type]
        told = Decimal(raw.headers["x-streamroute-cost-usd"])
        one = await shop.decision(raw.headers["x-streamroute-decision-id"])
        assert len(one["attempts"]) == 2  # type: ignore[arg-type]
    assert shop.on_the_ledger() == told


async def test_what_fails_says_what_it_cost(tmp_path: Path) -> None:
    """Also where a stream was asked for, of which nothing came."""
    async with Shop(tmp_path, ErrorStatus(status=500)) as shop:
        for stream in (True, False):
            body = {"model": "chat", "messages": QUESTION, "stream": stream}
            async with shop.session.post(f"{shop.app.url}/v1/chat/completions", json=body) as response:
                assert response.status >= 500
                assert response.headers["x-streamroute-cost-usd"] == "0"


async def test_images_and_the_tier_that_was_asked_for_count(tmp_path: Path) -> None:
    """What a stream tells before its call has ended is what the ledger has afterwards."""
    price = (
        "price = { input_per_mtok = 0.5, output_per_mtok = 2.25, per_image = 0.003 }\n"
        '[[prices]]\nupstream = "a"\ntier = "flex"\ninput_per_mtok = 0.25\noutput_per_mtok = 1\nper_image = 0.001'
    )
    image = {"type": "image_url", "image_url": {"url": "https://example.com/river.png"}}
    async with Shop(tmp_path, None, price=price) as shop:
        stream = await shop.client.chat.completions.create(
            model="chat",
            messages=[{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image, image]}],  # type: ignore[list-item]
            service_tier="flex",
            stream=True,
            stream_options={"include_usage": True},
        )
        usages = [chunk.usage async for chunk in stream if chunk.usage is not None]
        told = Decimal(str(usages[-1].cost))  # type: ignore[attr-defined]
    assert Decimal("0.002") < told < Decimal("0.0025")
    assert shop.on_the_ledger() == told


async def test_an_unknown_price_is_not_told_as_nothing(tmp_path: Path) -> None:
    """No header, no figure."""
    async with Shop(tmp_path, None, price="# none") as shop:
        raw = await shop.client.chat.completions.with_raw_response.create(model="chat", messages=QUESTION)  # type: ignore[arg-type]
        assert "x-streamroute-cost-usd" not in raw.headers
        usage = await last_usage(shop)
        assert usage is not None
        assert not hasattr(usage, "cost")
        assert (await shop.decision(raw.headers["x-streamroute-decision-id"]))["cost_usd"] is None
