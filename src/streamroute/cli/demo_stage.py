"""The demo's system: three simulated providers, the sidecar, and clients, in one process but on real sockets.

async with open_stage(plan) as stage:
    performance = await stage.perform(watch)
"""

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import aiohttp
import anyio
from prometheus_client.parser import text_string_to_metric_families

from streamroute import clock
from streamroute.app import App
from streamroute.cli.demo_control import run_control
from streamroute.cli.demo_plan import PREFERRED, RACE_ROUTE, ROUTE, DemoPlan
from streamroute.cli.demo_witness import Stood, Witness
from streamroute.config.load import load_config
from streamroute.config.model import Config
from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.load import LoadResult, run_load
from streamroute.simulation.server import SimulationServer

_SETTLE_S = 5.0
"""After the last answer nothing may be going on any more; what still is after this time has leaked."""
_HEDGE_SPEND = ("interactive = 0.3", "latency_critical = 1.0")
"""Far more than the defaults: they are shares of the last minute's spend, and the demo has no minute behind it."""
_WATCH_S = 0.125
"""Eight pictures a second look alive, and cost some 3 % of a core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What came of it, before anybody has judged it."""

    started_at: float
    """Loop seconds, as in the results."""
    results: tuple[LoadResult, ...]
    """Of the clients of the sidecar."""
    control: tuple[LoadResult, ...]
    """Of the clients that asked the preferred provider without a sidecar."""
    witness: Witness
    """What the sidecar reported."""
    outage_at: float | None
    """When the preferred provider sent its first 503 of the outage, by its own log; None: nobody asked it then."""
    failures: Mapping[str, int]
    """Failed attempts by kind, as `/metrics` counts them."""
    leaked: int
    """Requests, attempts and exchanges that were still counted as in flight when everybody had gone."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """What there is to see while it runs."""

    elapsed_s: float = 0.0
    requests: int = 0
    rescued: int = 0
    errors: int = 0
    control_requests: int = 0
    control_errors: int = 0

    def note(self, result: LoadResult) -> None:
        """Count an answer that came through the sidecar."""
        self.requests += 1
        self.errors += not result.is_exact

    def note_control(self, result: LoadResult) -> None:
        """Count an answer that came straight from the preferred provider."""
        self.control_requests += 1
        self.control_errors += not result.is_exact


class Stage:
    """A running system; see `open_stage`."""

    def __init__(self, plan: DemoPlan, app: App, providers: Mapping[str, SimulationServer]) -> None:
        self.plan = plan
        self.app = app
        self.providers = providers
        self.progress = Progress()
        self.witness = Witness()
        app.bus.subscribe(self.witness)

    async def perform(self, watch: Callable[["Stage"], None]) -> Performance:
        """Play the plan to its end. `watch` is called some times a second."""
        plan, progress = self.plan, self.progress
        results: list[LoadResult] = []
        control: list[LoadResult] = []

        def note(result: LoadResult) -> None:
            results.append(result)
            progress.note(result)

        def note_control(result: LoadResult) -> None:
            control.append(result)
            progress.note_control(result)

        async def races() -> None:
            await anyio.sleep(plan.phase("race").from_s)
            await run_load(f"{self.app.url}/v1", plan.races, note)

        self.play()
        started_at = clock.now()
        async with anyio.create_task_group() as watching:
            watching.start_soon(self._watch, watch, started_at)
            async with anyio.create_task_group() as loads:
                loads.start_soon(run_load, f"{self.app.url}/v1", plan.load, note)
                loads.start_soon(races)
                loads.start_soon(run_control, self.providers[PREFERRED].base_url, plan.control, note_control)
            watching.cancel_scope.cancel()
        leaked = await self._settle()
        self.witness.is_listening = False
        refused = (each for each in self.providers[PREFERRED].log if each.fault == ErrorStatus.kind)
        return Performance(
            started_at=started_at,
            results=tuple(results),
            control=tuple(control),
            witness=self.witness,
            outage_at=min((each.received_at for each in refused), default=None),
            failures=await self._failures(),
            leaked=leaked,
        )

    def play(self) -> None:
        """Begin the providers' scripts (anew)."""
        for name, script in self.plan.scripts.items():
            self.providers[name].play(script)

    async def encore(self) -> None:
        """Play the scripts over and over; never returns."""
        while True:
            self.play()
            await anyio.sleep(self.plan.duration_s)

    async def _watch(self, watch: Callable[["Stage"], None], started_at: float) -> None:
        while True:
            at = clock.now()
            self.progress.elapsed_s = at - started_at
            self.progress.rescued = sum(bool(each.continuations) for each in self.witness.requests)
            for upstream in self.app.config.upstreams.values():
                standing = self.app.dispatcher.board.standing(upstream, at)
                self.witness.note(
                    Stood(
                        at=at,
                        upstream=upstream.id,
                        kind=standing.kind,
                        breaker=standing.breaker,
                        reason=standing.reason,
                    )
                )
            watch(self)
            await anyio.sleep(_WATCH_S)

    async def _settle(self) -> int:
        """Wait until nothing is in flight; return what is, all the same."""
        with anyio.move_on_after(_SETTLE_S):
            await self.app.dispatcher.idle()
        for provider in self.providers.values():
            with contextlib.suppress(TimeoutError):
                await _until_idle(provider)
        board, at = self.app.dispatcher.board, clock.now()
        attempts = sum(board.health(upstream, at).figures().in_flight for upstream in self.app.config.upstreams)
        exchanges = sum(provider.in_flight for provider in self.providers.values())
        return self.app.dispatcher.in_flight + attempts + exchanges

    async def _failures(self) -> dict[str, int]:
        """Ask the sidecar as an operator does."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.app.url}/metrics") as response:
            text = await response.text()
        failures: Counter[str] = Counter()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "streamroute_attempts_total" and sample.labels["outcome"] == "failed":
                    failures[sample.labels["kind"]] += round(sample.value)
        return dict(failures.most_common())


async def _until_idle(provider: SimulationServer) -> None:
    await provider.wait_until(lambda: provider.in_flight == 0, _SETTLE_S)


@asynccontextmanager
async def open_stage(plan: DemoPlan) -> AsyncIterator[Stage]:
    """Start the providers and the sidecar on free ports of the loopback, and stop them in the end."""
    async with AsyncExitStack() as stack:
        providers = {
            name: await stack.enter_async_context(SimulationServer(script, keep_bodies=False))
            for name, script in plan.scripts.items()
        }
        config = _config(plan, {name: provider.base_url for name, provider in providers.items()})
        app = await stack.enter_async_context(App(config, rng=Random(plan.seed)))  # noqa: S311 - jitter, not secrets
        yield Stage(plan, app, providers)


def _config(plan: DemoPlan, base_urls: Mapping[str, str]) -> Config:
    """Go the way of every configuration: a file, without the environment of who runs the demo."""
    lines = ["version = 1", "[server]", 'listen = "127.0.0.1:0"', "[health.hedge_spend]", *_HEDGE_SPEND]
    for name, base_url in base_urls.items():
        lines += [f"[providers.{name}]", 'kind = "openai_compatible"', f'base_url = "{base_url}"']
        lines += [f"[upstreams.{name}]", f'provider = "{name}"', 'model = "demo-1"']
        lines += ['capabilities = { continuation = "prefill" }']
    for route, plan_name in ((ROUTE, "hedge"), (RACE_ROUTE, "race")):
        lines += [f"[routes.{route}]", f"upstreams = {json.dumps(list(base_urls))}", f'plan = "{plan_name}"']
        lines += [f"deadlines = {{ first_token_s = {plan.first_token_s}, stall_s = {plan.stall_s} }}"]
    with tempfile.TemporaryDirectory(prefix="streamroute-demo-") as folder:
        file = Path(folder, "demo.toml")
        file.write_text("\n".join(lines), encoding="utf-8")
        return load_config(file, environ={})
