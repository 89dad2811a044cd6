"""Runs of the whole application: server, engine, transport, simulated providers and clients in one event loop.

`virtual`: on a loop whose clock jumps, so that five minutes take seconds and two runs of a seed are the same to the
bit. `sockets`: on loopback in real time, with the scenario cut short.
"""

import asyncio
import math
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

import aiohttp
import orjson
import structlog

from failover_lab.peer_client import PATIENCE_S
from failover_lab.records import CallRecord, RequestRecord, RunRecord
from failover_lab.scenarios import Scenario
from failover_lab.stage import scripts
from failover_lab.weather import Provider, Segment
from failover_lab.world import INPUT_PRICE_USD_PER_MTOK, OUTPUT_PRICE_USD_PER_MTOK, Request
from streamroute.app import App
from streamroute.config.model import Config, LogOptions
from streamroute.core.observation import AttemptObservation, Observation
from streamroute.core.upstream import Capabilities, CredentialId, ProviderName, Route, TokenPrice, Upstream, UpstreamId
from streamroute.providers.aiohttp_transport import AiohttpTransport
from streamroute.providers.options import ProviderOptions
from streamroute.server.options import ServerOptions
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import verify

BYTES_PER_TOKEN = 4
TOKEN_SHARE = 1 / 3
"""Answers are so much shorter than in the discrete-event simulation: every token passes through three programs here."""
_SPANS_S = {"virtual": (30.0, 40.0, 40.0), "sockets": (10.0, 15.0, 15.0)}
"""Until the onset, of trouble, and after it."""
_PORT = 9000


def run_sidecar(
    scenario: Scenario, policy: str, seed: int, *, mode: Literal["virtual", "sockets"], rps: float | None = None
) -> RunRecord:
    """Play a scenario against the application and return what happened."""
    if policy != "streamroute":
        raise ValueError(f"the application has its own policy, not {policy}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if mode == "sockets":
        return asyncio.run(_Stage(scenario, seed, is_virtual=False).run(rps))
    from failover_lab.virtual_loop import run_virtually  # noqa: PLC0415 - needs a package for benchmarks alone

    record: RunRecord = run_virtually(_Stage(scenario, seed, is_virtual=True).run(rps))
    return record


def cut_short(scenario: Scenario, mode: Literal["virtual", "sockets"]) -> Scenario:
    """Return the scenario squeezed into two minutes, or into less than one; what is wrong stays as wrong."""
    onset_s, trouble_s, after_s = _SPANS_S[mode]
    old_trouble_s = scenario.trouble_until_s - scenario.onset_s

    def moved(at: float) -> float:
        if at <= scenario.onset_s or not scenario.onset_s:
            return min(at, onset_s) if scenario.onset_s else at
        until = onset_s + (at - scenario.onset_s) / old_trouble_s * trouble_s
        return min(until, onset_s + trouble_s + after_s)

    def shortened(provider: Provider) -> Provider:
        segments = [
            Segment(from_s=moved(each.from_s), until_s=moved(each.until_s), condition=each.condition)
            for each in provider.weather.segments
        ]
        return replace(provider, weather=replace(provider.weather, segments=segments))

    trouble_until_s = onset_s + trouble_s
    return replace(
        scenario,
        providers=tuple(shortened(each) for each in scenario.providers),
        onset_s=onset_s if scenario.onset_s else 0.0,
        trouble_until_s=trouble_until_s,
        ends_s=trouble_until_s + (after_s if scenario.faulty else 0.0),
        judged_until_s=None,
    )


class _Stage:
    """One run."""

    def __init__(self, scenario: Scenario, seed: int, *, is_virtual: bool) -> None:
        self._scenario = scenario
        self._seed = seed
        self._is_virtual = is_virtual
        self._record = RunRecord()
        self._of: dict[str, RequestRecord] = {}
        self._began = 0.0

    async def run(self, rps: float | None) -> RunRecord:
        """Play it."""
        async with AsyncExitStack() as stack:
            servers = {}
            for i, (name, script) in enumerate(scripts(self._scenario, self._seed).items()):
                port = _PORT + 1 + i if self._is_virtual else 0
                server = SimulationServer(script, port=port, keep_bodies=False)
                servers[name] = await stack.enter_async_context(server)
            transport: AiohttpTransport | None = None
            client = aiohttp.TCPConnector(limit=0)
            if self._is_virtual:
                from failover_lab.virtual_loop import connector  # noqa: PLC0415 - see above

                transport, client = AiohttpTransport(connector=connector), connector()
            app = App(self._config(servers), transport=transport, rng=random.Random(self._seed))
            await stack.enter_async_context(app)
            app.dispatcher._bus.subscribe(self._note)  # noqa: SLF001 - the only place where attempts are told
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=client))
            for server in servers.values():
                server.play(server.script)  # its clock begins anew
            self._began = asyncio.get_running_loop().time()
            url = f"{app.url}/v1/chat/completions"
            async with asyncio.TaskGroup() as clients:
                for request in self._scenario.requests(self._seed, rps):
                    clients.create_task(self._ask(session, url, request))
        return self._record

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def _ask(self, session: aiohttp.ClientSession, url: str, request: Request) -> None:
        await asyncio.sleep(max(0.0, request.arrived_at - self._now()))
        its = RequestRecord(request.number, request.arrived_at, request.prompt_tokens, request.output_tokens)
        tokens = max(2, round(request.output_tokens * TOKEN_SHARE))
        its.output_tokens = tokens
        id_ = f"bench-{request.number}"
        self._of[id_] = its
        self._record.requests.append(its)
        prompt = f"Question {request.number} of {self._seed}. ".ljust(request.prompt_tokens * BYTES_PER_TOKEN, "x")
        body = {
            "model": "chat",
            "stream": True,
            "max_tokens": tokens,
            "messages": [{"role": "user", "content": prompt}],
        }
        reader = _Reader()
        try:
            async with asyncio.timeout(PATIENCE_S) as patience:
                async with session.post(
                    url,
                    data=orjson.dumps(body),
                    headers={"content-type": "application/json", "x-request-id": id_},
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as response:
                    its.error = None if response.status == 200 else f"HTTP {response.status}"
                    async for line in response.content:
                        if reader.take(line) and its.ttft_s is None:
                            its.ttft_s = self._now() - request.arrived_at
                            patience.reschedule(None)
        except TimeoutError:
            its.error = "too late"
        except (aiohttp.ClientError, OSError) as error:
            its.error = type(error).__name__
        its.error = its.error or reader.error
        its.is_whole = its.error is None and reader.is_finished
        if its.is_whole:
            check = verify(prompt, tokens, "".join(reader.text))
            its.lost_chars, its.repeated_chars = check.lost_chars, check.repeated_chars

    def _note(self, observation: Observation) -> None:
        if not isinstance(observation, AttemptObservation):
            return
        its = self._of.get(observation.request_id)
        ended_at = observation.ended_at - self._began
        call = CallRecord(
            str(observation.upstream),
            observation.cause,
            ended_at - observation.duration_s,
            ended_at=ended_at,
            was_connected=observation.connect_s is not None,
            is_error=observation.http_status not in {None, 200},
            tokens=observation.content_events,
            full_tokens=observation.content_events if its is None else its.output_tokens,
            was_used=observation.is_committed,
        )
        if its is None:
            self._record.probes.append(call)
            return
        failure = observation.failure
        if failure is not None and failure.kind == "rate_limited":
            call.limited_until = ended_at + (failure.retry_after_s or 0.0)
        its.calls.append(call)
        if observation.cause == "first" and (its.primary is None or observation.attempt == 1):
            its.primary = call.provider

    def _config(self, servers: dict[str, SimulationServer]) -> Config:
        scenario = self._scenario
        upstreams = {
            UpstreamId(each.name): Upstream(
                id=UpstreamId(each.name),
                provider=ProviderName(each.name),
                model="sim",
                credential=CredentialId(each.credential or each.name),
                failure_domain=each.domain or each.name,
                capabilities=Capabilities(continuation=each.continues),
                price=TokenPrice(
                    input_per_mtok=Decimal(str(INPUT_PRICE_USD_PER_MTOK)),
                    output_per_mtok=Decimal(str(OUTPUT_PRICE_USD_PER_MTOK)),
                ),
            )
            for each in scenario.providers
        }
        route = Route(
            name="chat",
            upstreams=tuple(upstreams),
            plan=scenario.plan,
            steering=scenario.steering,
            latency_class=scenario.latency_class,
        )
        return Config(
            file=Path("failover.toml"),
            server=ServerOptions(port=_PORT if self._is_virtual else 0),
            log=LogOptions(level="error"),
            providers={
                ProviderName(name): ProviderOptions(
                    name=ProviderName(name), kind="openai_compatible", base_url=server.base_url
                )
                for name, server in servers.items()
            },
            upstreams=upstreams,
            routes={route.name: route},
            disabled=(),
            is_simulated=False,
            sources={},
        )


class _Reader:
    """Reads a stream line by line, as a strict client would."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.error: str | None = None
        self.is_finished = False

    def take(self, line: bytes) -> bool:
        """Take one line; return whether it had text."""
        if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
            return False
        event = orjson.loads(line[6:])
        if "error" in event:
            self.error = str(event["error"].get("code") or event["error"].get("type"))
            return False
        has_text = False
        for choice in event.get("choices", ()):
            text = choice.get("delta", {}).get("content")
            if text:
                self.text.append(text)
                has_text = True
            self.is_finished |= choice.get("finish_reason") is not None
        return has_text


def trace(record: RunRecord) -> str:
    """Return all that happened as one text, to the bit: for comparing runs."""
    lines = []
    for each in record.requests:
        ttft = math.inf if each.ttft_s is None else each.ttft_s
        calls = " ".join(
            f"{call.provider}:{call.cause}:{call.at!r}:{call.ended_at!r}:{call.tokens}" for call in each.calls
        )
        lines.append(f"{each.number} {ttft!r} {each.is_whole} {each.error} {calls}")
    return "\n".join(lines)
