"""A route with tiers in front of simulated models that have prices, and a ledger beside it.

async with Tiers.of(tmp_path, {"small": SMALL, "large": None}, ROUTE) as tiers:
    told = await tiers.ask()
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from streamroute.app import App
from streamroute.config.load import load_config
from streamroute.core.cost.report import UsageQuery, UsageRow, usage_rows
from streamroute.simulation.fault import Fault
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from streamroute.simulation.server import SimulationServer
from streamroute.stores.usage import read_lines, read_usage
from tests.support.rig import Reply, read_stream

QUICK = Profile(tpot_s=0.001, tokens=8)


@dataclass(frozen=True, slots=True)
class Told:
    """What a client saw of one answer."""

    text: str
    cost_usd: Decimal | None
    """As the answer says itself."""
    decision_id: str
    reply: Reply | None = None


class Tiers:
    """Providers, one upstream each, sidecar, client."""

    def __init__(
        self, app: App, servers: Mapping[str, SimulationServer], session: aiohttp.ClientSession, url: str
    ) -> None:
        self.app = app
        self.servers = servers
        self.url = url
        self._session = session
        self._heard = asyncio.Event()
        app.bus.subscribe(lambda _: self._heard.set())

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        folder: Path,
        models: Mapping[str, Script | Fault | None],
        route: str,
        *,
        more: str = "",
        each: str = "",
        site: str = "[server]\n",
    ) -> AsyncIterator["Tiers"]:
        """Start a provider for each of `models`; each costs ten times what the one before it does. `each`: further
        settings of upstreams, by their names, such as `small: residency = "eu"` on a line."""
        async with AsyncExitStack() as stack:
            servers = {
                name: await stack.enter_async_context(SimulationServer(script, profile=QUICK))
                for name, script in models.items()
            }
            url = f"sqlite:///{folder}/ledger.db"
            text = f'version = 1\n{site}listen = "127.0.0.1:0"\n[ledger]\nurl = "{url}"\n{more}'
            for place, (name, server) in enumerate(servers.items()):
                price = f"{{ input_per_mtok = {10**place}, output_per_mtok = {2 * 10**place} }}"
                settings = [line.partition(":")[2] for line in each.splitlines() if line.startswith(f"{name}:")]
                text += (
                    f'[providers.{name}]\nkind = "openai_compatible"\nbase_url = "{server.base_url}"\n'
                    f'[upstreams.{name}]\nprovider = "{name}"\nmodel = "m"\nprice = {price}\n'
                    + "\n".join([*settings, ""])
                )
            file = folder / "tiers.toml"
            file.write_text(text + route)
            app = await stack.enter_async_context(App(load_config(file, environ={}), rng=random.Random(7)))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            yield cls(app, servers, session, url)

    async def ask(
        self,
        prompt: str = "Tell me about rivers.",
        *,
        stream: bool = True,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Told:
        """Ask once; fails where there is no whole answer."""
        body = {"model": "chat", "stream": stream, "messages": [{"role": "user", "content": prompt}], **more}
        if stream:
            body["stream_options"] = {"include_usage": True}
        async with self._session.post(f"{self.app.url}/v1/chat/completions", json=body, headers=headers) as response:
            raw, id_ = await response.read(), response.headers["x-streamroute-decision-id"]
            assert response.status == 200, raw
        if not stream:
            answer = orjson.loads(raw)
            return Told(answer["choices"][0]["message"]["content"], _cost(raw), id_)
        reply = Reply(response.status, response.headers)
        read_stream(raw, reply)
        assert reply.presents_itself_as_complete, reply
        return Told(reply.text, _cost(raw), id_, reply)

    async def explain(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        """Return what would be done for a request."""
        asked = {**headers, "x-streamroute-explain": "1"}
        async with self._session.post(f"{self.app.url}/v1/chat/completions", json=body, headers=asked) as response:
            document: dict[str, Any] = await response.json()
        return document

    async def get(self, path: str) -> dict[str, Any]:
        """Read a page of the sidecar."""
        async with self._session.get(f"{self.app.url}{path}") as response:
            document: dict[str, Any] = await response.json()
        return document

    async def text(self, path: str) -> str:
        """Read a page of the sidecar that is no JSON."""
        async with self._session.get(f"{self.app.url}{path}") as response:
            return await response.text()

    async def calls(self, told: Told) -> list[tuple[str, str, str]]:
        """Return what came of the calls for an answer: upstream, cause, outcome."""
        document = await self.get(f"/status/decisions/{told.decision_id}")
        return [(each["upstream"], each["cause"], each["outcome"]) for each in document["attempts"]]

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something holds, looking whenever something is observed, and now and then; fails after five
        seconds."""
        async with asyncio.timeout(5):
            while not is_so():
                self._heard.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self._heard.wait()

    @property
    def requests(self) -> dict[str, int]:
        """How many chat requests each provider has seen."""
        return {name: len(server.log) for name, server in self.servers.items()}

    def spent_usd(self) -> Decimal:
        """Return the ledger's sum; once the sidecar is closed it has everything."""
        return sum((usd(row.cost) for row in read_usage(self.url, [])), Decimal(0))

    def waste(self) -> UsageRow:
        """Return what became of the money."""
        [row] = usage_rows(read_lines(self.url, UsageQuery(is_waste_told=True)))
        return row


def usd(money: int) -> Decimal:
    """Return picodollars as dollars."""
    return Decimal(money).scaleb(-12)


def _cost(raw: bytes) -> Decimal | None:
    """Read `usage.cost` with all its digits."""
    _, found, rest = raw.rpartition(b'"cost":')
    return Decimal(rest.split(b",")[0].split(b"}")[0].decode()) if found else None
