"""The prober against real sockets: what it asks, what it reports, and that it stops."""

from dataclasses import replace

import pytest
from aiohttp import web

from streamroute.clock import now
from streamroute.core.cost.budget import Budgets
from streamroute.core.cost.price_book import PriceBook
from streamroute.core.cost.pricing import Pricing, Terms
from streamroute.core.health.board import HealthBoard
from streamroute.core.health.options import HealthOptions
from streamroute.core.health.probing import Probe
from streamroute.core.observation import (
    AttemptObservation,
    Observation,
    ProbeObservation,
    ProbeStep,
    StandingObservation,
)
from streamroute.core.routing.route import Catalog
from streamroute.core.upstream import ProviderName, Route, Upstream
from streamroute.engine.dispatcher import Directory
from streamroute.engine.prober import Prober
from streamroute.engine.spending import Spending
from streamroute.providers.aiohttp_transport import AiohttpTransport
from streamroute.providers.openai_compatible import OpenAICompatible
from streamroute.providers.options import ProviderOptions
from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.server import SimulationServer
from streamroute.telemetry.bus import Bus
from tests.support.observations import upstream

NOBODY = "http://127.0.0.1:9/v1"
"""The discard port: nothing listens there."""


class Stage:
    """A prober with one upstream behind `base_url`, and what was published."""

    def __init__(self, base_url: str, transport: AiohttpTransport, *, of: Upstream | None = None) -> None:
        self.upstream = of or upstream("a")
        provider = ProviderName("lab")
        options = ProviderOptions(name=provider, kind="openai_compatible", base_url=base_url, api_key="sk-secret-key")
        routes = {"chat": Route(name="chat", upstreams=(self.upstream.id,))}
        self.directory = Directory(
            catalog=Catalog(routes=routes, upstreams={self.upstream.id: self.upstream}),
            providers={provider: OpenAICompatible(options)},
        )
        self.board = HealthBoard(lambda: 0.5)
        self.spending = Spending(Pricing(Terms(prices=PriceBook(), find={}.get)), Budgets())
        self.published: list[Observation] = []
        self.prober = Prober(
            self,
            transport=transport,
            bus=Bus([self.published.append]),
            options=HealthOptions(probe_silence_s=1.0),
            uniform=lambda: 0.0,
        )
        self.prober.look()  # from now on it is watched

    async def probe(self, step: ProbeStep) -> ProbeObservation:
        await self.prober.make(Probe(upstream=self.upstream, step=step))
        (found,) = [each for each in self.published if isinstance(each, ProbeObservation)]
        return found

    @property
    def attempts(self) -> list[AttemptObservation]:
        return [each for each in self.published if isinstance(each, AttemptObservation)]

    @property
    def failed(self) -> int:
        return self.board.health(self.upstream.id, now()).figures().failed

    @property
    def in_flight(self) -> int:
        return self.board.health(self.upstream.id, now()).figures().in_flight


async def test_each_step_of_a_provider_that_is_well() -> None:
    """Free steps leave no trace in the provider's log of chats, and none on the board; a completion is an attempt."""
    steps: tuple[ProbeStep, ...] = ("connect", "models", "completion")
    for step in steps:
        transport = AiohttpTransport()
        async with SimulationServer() as server:
            stage = Stage(server.base_url, transport)
            found = await stage.probe(step)
            await transport.aclose()
        assert (found.step, found.ok, found.failure) == (step, True, None)
        assert len(server.log) == len(stage.attempts) == (step == "completion")
        assert (stage.failed, stage.in_flight) == (0, 0)
    (attempt,) = stage.attempts
    assert (attempt.cause, attempt.route, attempt.outcome) == ("probe", "", "succeeded")


@pytest.mark.parametrize("step", ["connect", "models", "completion"])
async def test_nobody_listens(step: ProbeStep) -> None:
    """A refused connection speaks against the upstream, whatever was to be asked."""
    transport = AiohttpTransport()
    stage = Stage(NOBODY, transport)
    found = await stage.probe(step)
    await transport.aclose()
    assert (found.ok, found.failure) == (False, "connect_error")
    assert (stage.failed, stage.in_flight) == (1, 0)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (200, None),
        (404, None),
        (405, None),
        (401, "auth_failed"),
        (403, "auth_failed"),
        (429, "rate_limited"),
        (500, "server_error"),
        (503, "overloaded"),
    ],
)
async def test_what_models_answers(status: int, failure: str | None) -> None:
    """Many servers have no such path: of 4xx only those about the key and the rate say something."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, text="sk-secret-key")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    transport = AiohttpTransport()
    stage = Stage(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", transport)
    found = await stage.probe("models")
    await transport.aclose()
    await runner.cleanup()
    assert (found.http_status, found.failure, found.ok) == (status, failure, failure is None)
    assert stage.failed == (failure is not None)
    assert stage.attempts == []


async def test_a_completion_that_fails() -> None:
    """It counts as any user's request that failed."""
    transport = AiohttpTransport()
    async with SimulationServer(ErrorStatus(status=500)) as server:
        stage = Stage(server.base_url, transport)
        found = await stage.probe("completion")
        await transport.aclose()
    assert (found.ok, found.failure, found.http_status) == (False, "server_error", 500)
    assert (stage.failed, stage.in_flight) == (1, 0)


async def test_while_the_breaker_is_open_the_board_learns_nothing() -> None:
    """It has opened for what users saw; a free probe gives figures only."""
    transport = AiohttpTransport()
    stage = Stage(NOBODY, transport)
    stage.board.operate(stage.upstream, "open", now())
    found = await stage.probe("connect")
    await transport.aclose()
    assert (found.ok, stage.failed) == (False, 0)


async def test_a_drained_upstream_is_left_alone() -> None:
    """No permit, no probe; it may be tried again later."""
    transport = AiohttpTransport()
    stage = Stage(NOBODY, transport)
    stage.board.operate(stage.upstream, "drain", now())
    await stage.prober.make(Probe(upstream=stage.upstream, step="models"))
    await transport.aclose()
    assert stage.published == []


async def test_what_a_completion_costs() -> None:
    """By the tokens that the provider counted; a simulated one costs nothing."""
    for is_simulated in (False, True):
        transport = AiohttpTransport()
        async with SimulationServer() as server:
            stage = Stage(server.base_url, transport, of=replace(upstream("a"), is_simulated=is_simulated))
            found = await stage.probe("completion")
            await transport.aclose()
        assert (found.cost_usd > 0) is not is_simulated
        assert stage.prober.policy.spent_today_usd == found.cost_usd


async def test_who_stands_otherwise_is_told_once() -> None:
    """At each look, for whoever the configuration has; one that is well and stays so is not mentioned."""
    transport = AiohttpTransport()
    stage = Stage(NOBODY, transport)
    stage.prober.look()
    assert stage.published == []
    stage.board.operate(stage.upstream, "open", now())
    for _ in range(2):
        stage.prober.look()
    (opened,) = stage.published
    assert isinstance(opened, StandingObservation)
    assert (opened.upstream, opened.breaker, opened.reason) == (stage.upstream.id, "open", "forced by the operator")
    stage.board.operate(stage.upstream, "close", now())
    stage.prober.look()
    assert [each.breaker for each in stage.published if isinstance(each, StandingObservation)] == ["open", "closed"]
    await transport.aclose()
