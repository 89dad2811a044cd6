"""Runs of the whole application: server, engine, transport, simulated providers and clients in one event loop.

`virtual`: on a loop whose clock jumps, so that five minutes take seconds and two runs of a seed are the same to the
bit. `sockets`: on loopback in real time. The scenarios, seeds and requests are those of the simulation.
"""

import asyncio
import logging
import math
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp
import orjson
import structlog

from failover_lab.core import route, upstreams
from failover_lab.records import CallRecord, RequestRecord, RunRecord
from failover_lab.staged import Mode, Staged
from streamroute.app import App
from streamroute.config.model import Config, LogOptions
from streamroute.core.observation import AttemptObservation, Observation, ProbeObservation
from streamroute.core.upstream import ProviderName
from streamroute.providers.aiohttp_transport import AiohttpTransport
from streamroute.providers.options import ProviderOptions
from streamroute.server.options import ServerOptions
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import verify
from streamroute.simulation.traffic import Arrival

BYTES_PER_TOKEN = 4
_PORT = 9000
_SLOW_BUFFER_BYTES = 1024
"""Of a slow client: less than an answer has, so that what it does not read piles up at the sidecar."""


def run_sidecar(stage: Staged, policy: str, seed: int, *, mode: Mode) -> RunRecord:
    """Play a scenario against the application and return what happened."""
    if policy != "streamroute":
        raise ValueError(f"the application has its own policy, not {policy}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # of the simulated providers: clients that left
    if mode == "sockets":
        return asyncio.run(_Show(stage, seed, is_virtual=False).run())
    from failover_lab.virtual_loop import run_virtually  # noqa: PLC0415 - needs a package for benchmarks alone

    record: RunRecord = run_virtually(_Show(stage, seed, is_virtual=True).run())
    return record


class _Show:
    """One run."""

    def __init__(self, stage: Staged, seed: int, *, is_virtual: bool) -> None:
        self._stage = stage
        self._seed = seed
        self._is_virtual = is_virtual
        self._record = RunRecord()
        self._of: dict[str, RequestRecord] = {}
        self._began = 0.0

    async def run(self) -> RunRecord:
        """Play it."""
        async with AsyncExitStack() as stack:
            servers = {}
            for i, (name, script) in enumerate(self._stage.scripts(self._seed).items()):
                port = _PORT + 1 + i if self._is_virtual else 0
                server = SimulationServer(script, port=port, keep_bodies=False)
                servers[name] = await stack.enter_async_context(server)
            transport: AiohttpTransport | None = None
            connect: Callable[[], aiohttp.TCPConnector] = partial(aiohttp.TCPConnector, limit=0)
            if self._is_virtual:
                from failover_lab.virtual_loop import connector  # noqa: PLC0415 - see above

                connect, transport = connector, AiohttpTransport(connector=connector)
            app = App(self._config(servers), transport=transport, rng=random.Random(self._seed))
            await stack.enter_async_context(app)
            app.dispatcher._bus.subscribe(self._note)  # noqa: SLF001 - the only place where attempts are told
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connect()))
            slow = await stack.enter_async_context(
                aiohttp.ClientSession(connector=connect(), read_bufsize=_SLOW_BUFFER_BYTES)
            )
            for server in servers.values():
                server.play(server.script)  # its clock begins anew
            self._began = asyncio.get_running_loop().time()
            url = f"{app.url}/v1/chat/completions"
            async with asyncio.TaskGroup() as clients:
                for arrival in self._stage.load.arrivals(self._seed, self._stage.end_s):
                    clients.create_task(self._ask(slow if arrival.is_slow_client else session, url, arrival))
        return self._record

    def _now(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def _ask(self, session: aiohttp.ClientSession, url: str, arrival: Arrival) -> None:
        await asyncio.sleep(max(0.0, arrival.at_s - self._now()))
        tokens = arrival.answer_tokens
        its = RequestRecord(arrival.ordinal, arrival.at_s, arrival.prompt_tokens, tokens)
        id_ = f"bench-{arrival.ordinal}"
        self._of[id_] = its
        self._record.requests.append(its)
        prompt = f"Question {arrival.ordinal} of {self._seed}. ".ljust(arrival.prompt_tokens * BYTES_PER_TOKEN, "x")
        body = {
            "model": "chat",
            "stream": True,
            "max_tokens": tokens,
            "messages": [{"role": "user", "content": prompt}],
        }
        reader = _Reader()
        try:
            async with asyncio.timeout(self._stage.load.patience_s) as patience:
                async with session.post(
                    url,
                    data=orjson.dumps(body),
                    headers={"content-type": "application/json", "x-request-id": id_},
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as response:
                    its.error = None if response.status == 200 else f"HTTP {response.status}"
                    async for line in response.content:
                        if reader.take(line) and its.ttft_s is None:
                            its.ttft_s = self._now() - arrival.at_s
                            patience.reschedule(None)
                        if arrival.is_slow_client:
                            await asyncio.sleep(len(line) / self._stage.load.slow_client_bps)
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
        if isinstance(observation, ProbeObservation):
            self._note_probe(observation)
        if not isinstance(observation, AttemptObservation) or observation.request_id not in self._of:
            return
        its = self._of[observation.request_id]
        ended_at = observation.ended_at - self._began
        call = CallRecord(
            str(observation.upstream),
            observation.cause,
            ended_at - observation.duration_s,
            ended_at=ended_at,
            was_connected=observation.connect_s is not None,
            is_error=observation.http_status not in {None, 200},
            tokens=observation.content_events,
            was_used=observation.is_committed,
        )
        failure = observation.failure
        if failure is not None and failure.kind == "rate_limited":
            call.limited_until = ended_at + (failure.retry_after_s or 0.0)
        its.calls.append(call)
        if observation.cause == "first" and (its.primary is None or observation.attempt == 1):
            its.primary = call.provider

    def _note_probe(self, probe: ProbeObservation) -> None:
        ended_at = probe.ended_at - self._began
        call = CallRecord(str(probe.upstream), "probe", ended_at - probe.duration_s, ended_at=ended_at)
        call.is_error, call.is_free = not probe.ok, probe.step != "completion"
        self._record.probes.append(call)

    def _config(self, servers: dict[str, SimulationServer]) -> Config:
        known = {each.id: each for each in upstreams(self._stage).values()}
        only = route(self._stage, list(known))
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
            upstreams=known,
            routes={only.name: only},
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
