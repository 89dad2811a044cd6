"""A sidecar in this process, in front of simulated providers, on real sockets; and a client that reads strictly.

async with Rig.of([Stall()], [None]) as rig:          # one script a provider: "a" stalls, "b" is well
    reply = await rig.ask(stream=True)
    assert reply.text == rig.expected_text
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path

import aiohttp
import orjson

from streamroute.app import App
from streamroute.config.model import Config, LogOptions
from streamroute.core.gate import Thresholds
from streamroute.core.health.options import HealthOptions
from streamroute.core.request import WireFormatName
from streamroute.core.upstream import (
    Capabilities,
    CredentialId,
    Deadlines,
    Midstream,
    PlanName,
    ProviderName,
    RetryOptions,
    Route,
    Steering,
    Upstream,
    UpstreamId,
)
from streamroute.providers.formats import FORMATS
from streamroute.providers.options import ProviderOptions
from streamroute.providers.transport import Transport
from streamroute.server.options import ServerOptions
from streamroute.simulation.fault import Fault
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from streamroute.stores.options import LedgerOptions, RoutingFiles

PROMPT = "Tell me about rivers."
TOKENS = 12
QUICK = Deadlines(connect_s=1.0, headers_s=0.3, first_token_s=0.4, stall_s=0.3, total_s=5.0, answer_s=0.5)
"""Short enough for tests, long enough for a busy machine."""
LIVELY = Profile(tpot_s=0.004, tokens=TOKENS)
"""Tokens come one by one, so that a fault in the middle is in the middle."""


@dataclass(slots=True)
class Reply:
    """What a client saw."""

    status: int
    headers: Mapping[str, str]
    text: str = ""
    events: list[dict[str, object]] = field(default_factory=list)
    error: Mapping[str, object] | None = None
    """The error object of a response, or of the last event."""
    finish_reasons: list[str] = field(default_factory=list)
    is_done: bool = False
    """`[DONE]` came, as the very last event."""
    is_cut: bool = False
    """The body ended against HTTP's rules."""
    comments: int = 0
    joints: int = 0
    """Places where another call carried the answer on."""
    told: list[dict[str, object]] = field(default_factory=list)
    """What the comments there say."""
    models: set[str] = field(default_factory=set)
    """That the body names."""

    @property
    def presents_itself_as_complete(self) -> bool:
        """A client would take this for a whole answer."""
        return self.status == 200 and self.error is None and not self.is_cut and (self.is_done or not self.events)


class Rig:
    """Providers, sidecar and client."""

    def __init__(self, app: App, providers: list[SimulationServer], session: aiohttp.ClientSession) -> None:
        self.app = app
        self.providers = providers
        self.session = session

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        *scripts: Script | Fault | None,
        deadlines: Deadlines = QUICK,
        retry: RetryOptions = RetryOptions(backoff_s=0.01),
        capabilities: Sequence[Capabilities] = (),
        server: ServerOptions | None = None,
        profile: Profile = LIVELY,
        transport: Transport | None = None,
        plan: PlanName = "hedge",
        midstream: Midstream = "continue",
        steering: Steering = "preferred",
        kind: str = "openai_compatible",
        wire_formats: Sequence[WireFormatName] = (),
        health: HealthOptions | None = None,
        ledger: LedgerOptions | None = None,
        routing_files: RoutingFiles | None = None,
        tiers: tuple[str, ...] = (),
        accept_at: Thresholds = Thresholds(),
    ) -> AsyncIterator["Rig"]:
        """Start one provider for each script, named a, b, c, ..., all on the route `chat`; `tiers`: ("ab", "c")."""
        async with AsyncExitStack() as stack:
            providers = [
                await stack.enter_async_context(SimulationServer(script, profile=profile)) for script in scripts
            ]
            names = [chr(ord("a") + i) for i in range(len(scripts))]
            upstreams = {}
            for i, name in enumerate(names):
                upstreams[UpstreamId(name)] = Upstream(
                    id=UpstreamId(name),
                    provider=ProviderName(name),
                    model=f"model-{name}",
                    credential=CredentialId(name),
                    failure_domain=name,
                    capabilities=capabilities[i] if i < len(capabilities) else Capabilities(),
                )
            spoken: Sequence[WireFormatName] = wire_formats or ["openai_chat"]
            config = Config(
                file=Path("rig.toml"),
                server=replace(server or ServerOptions(), port=0),
                log=LogOptions(),
                providers={
                    ProviderName(name): ProviderOptions(
                        name=ProviderName(name),
                        kind=kind,
                        base_url=provider.base_url,
                        wire_format=wire_format,
                        chat_path=FORMATS[wire_format].chat_path,
                    )
                    for name, provider, wire_format in zip(names, providers, cycle(spoken), strict=False)
                },
                upstreams=upstreams,
                routes={
                    "chat": Route(
                        name="chat",
                        upstreams=tuple(upstreams),
                        plan=plan,
                        steering=steering,
                        midstream=midstream,
                        deadlines=deadlines,
                        retry=retry,
                        tiers=tuple(tuple(UpstreamId(name) for name in tier) for tier in tiers),
                        accept_at=accept_at,
                    )
                },
                disabled=(),
                is_simulated=False,
                sources={},
                health=health or HealthOptions(),
                ledger=ledger or LedgerOptions(),
                routing_files=routing_files or RoutingFiles(),
            )
            app = await stack.enter_async_context(App(config, rng=random.Random(7), transport=transport))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            yield cls(app, providers, session)

    @property
    def expected_text(self) -> str:
        """The whole answer to `PROMPT`."""
        return expected_text(PROMPT, TOKENS)

    @property
    def requests(self) -> list[int]:
        """How many chat requests each provider has seen."""
        return [len(provider.log) for provider in self.providers]

    async def ask(
        self, *, stream: bool, model: str = "chat", headers: Mapping[str, str] | None = None, **more: object
    ) -> Reply:
        """Send one chat request and read the reply to its end."""
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": PROMPT}], **more}
        url = f"{self.app.url}/v1/chat/completions"
        async with self.session.post(url, json=body, headers=headers) as response:
            reply = Reply(response.status, response.headers)
            raw = b""
            try:
                async for block in response.content.iter_any():
                    raw += block
            except aiohttp.ClientPayloadError:
                reply.is_cut = True
        if response.content_type == "text/event-stream":
            read_stream(raw, reply)
        elif response.status == 200:
            _read_whole(raw, reply)
        else:
            reply.error = orjson.loads(raw)["error"]
        return reply

    async def settled(self) -> None:
        """Wait until no provider and no upstream has anything in flight; fails after five seconds."""
        async with asyncio.timeout(5):
            await self.app.dispatcher.idle()
            for provider in self.providers:
                await provider.wait_until(lambda provider=provider: provider.in_flight == 0)

    def in_flight(self) -> list[int]:
        """What the health board counts as in flight, by upstream."""
        board, at = self.app.dispatcher.board, asyncio.get_running_loop().time()
        return [board.health(upstream, at).figures().in_flight for upstream in self.app.config.upstreams]


def read_stream(raw: bytes, reply: Reply) -> None:
    """Read a whole body of server-sent events; fails on anything a strict client would choke on."""
    assert raw.endswith(b"\n\n") or not raw or reply.is_cut
    events = [event for event in raw.split(b"\n\n") if event]
    for i, event in enumerate(events):
        if event.startswith(b":"):
            reply.comments += 1
            if event.startswith(b": streamroute "):
                reply.joints += 1
                reply.told.append(orjson.loads(event.removeprefix(b": streamroute ")))
            continue
        assert event.startswith(b"data: "), event
        if event == b"data: [DONE]":
            assert i == len(events) - 1, "[DONE] must be the last event"
            reply.is_done = True
            continue
        chunk = orjson.loads(event.removeprefix(b"data: "))
        assert reply.error is None, "nothing may follow an error event"
        reply.events.append(chunk)
        reply.error = chunk.get("error")
        reply.models |= {chunk["model"]} if "model" in chunk else set()
        for choice in chunk.get("choices", ()):
            reply.text += choice["delta"].get("content") or ""
            if choice["finish_reason"]:
                reply.finish_reasons.append(choice["finish_reason"])


def _read_whole(raw: bytes, reply: Reply) -> None:
    body = orjson.loads(raw)
    reply.models = {body["model"]}
    choice = body["choices"][0]
    reply.text = choice["message"]["content"]
    reply.finish_reasons.append(choice["finish_reason"])
