"""Makes the active probes that `core.health.probing` decides on, and watches this process's own event loop.

A free probe (a connection, `GET /models`) that fails is told to the health board as a failed attempt; one that
succeeds proves too little to close a breaker, so its permit goes back unused. A completion is an attempt like any
other. While a breaker is open, nothing is told: it has opened for what users' requests saw.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import anyio
import structlog

from streamroute.clock import now, wall
from streamroute.core.execution.events import AttemptEvent, AttemptId
from streamroute.core.health.board import HealthBoard
from streamroute.core.health.breaker import Permit
from streamroute.core.health.options import HealthOptions
from streamroute.core.health.probing import Probe, ProbePolicy, Subject, price_usd
from streamroute.core.observation import AttemptObservation, Observation, ProbeObservation
from streamroute.core.outcome import Failure
from streamroute.engine.attempt import Attempt
from streamroute.engine.attempt_options import AttemptOptions
from streamroute.engine.dispatcher import Directory
from streamroute.engine.lookout import Lookout
from streamroute.engine.spending import Spending
from streamroute.errors import TransportError
from streamroute.providers.provider import Provider
from streamroute.providers.transport import ResponseHead, Transport
from streamroute.telemetry.bus import Bus
from streamroute.wire.openai_chat.errors import MAX_ERROR_BYTES
from streamroute.wire.openai_chat.request import decode_request
from streamroute.wire.retry_after import retry_after_s

TICK_S = 0.5
MAX_LAG_S = 0.05
"""How late the event loop may be before gaps and slow answers say more about us than about a provider: half of the
100 ms that a person notices."""
CONNECT_S = 2.0
ANSWER_S = 10.0
"""Limits of a probe: those of a route by default."""
MAX_PARALLEL = 8
_QUESTION = decode_request(
    b'{"model":"probe","stream":true,"max_tokens":1,"messages":[{"role":"user","content":"Say OK."}]}'
)
_REFUSALS = frozenset({401, 403})
"""Of 4xx answers to `GET /models`, those that say something about our calls; many servers do not have that path."""

_log = structlog.get_logger(__name__)


class Surroundings(Protocol):
    """Where the prober finds whom to probe: a dispatcher."""

    directory: Directory
    board: HealthBoard
    spending: Spending


class Prober:
    """Probes; run it in a task group of its owner, and cancel it to stop."""

    def __init__(
        self,
        surroundings: Surroundings,
        *,
        transport: Transport,
        bus: Bus,
        options: HealthOptions,
        uniform: Callable[[], float],
        lagged: Callable[[float, float], None] | None = None,
    ) -> None:
        """`uniform` draws from [0, 1); `lagged` is told (now, lag in seconds) when the event loop was late."""
        self.policy = ProbePolicy(options, uniform)
        self.lag_s = 0.0
        """How late the event loop was at the last look."""
        self._at = surroundings
        self._transport = transport
        self._bus = bus
        self._lagged = lagged
        self._lookout = Lookout()
        bus.subscribe(self._hear)

    async def run(self) -> None:
        """Probe until cancelled."""
        async with anyio.create_task_group() as tasks:
            limit = anyio.Semaphore(MAX_PARALLEL)
            while True:
                slept_at = now()
                await anyio.sleep(TICK_S)
                self.lag_s = max(0.0, now() - slept_at - TICK_S)
                if self.lag_s > MAX_LAG_S and self._lagged is not None:
                    self._lagged(now(), self.lag_s)
                for probe in self.look():
                    tasks.start_soon(self._guarded, probe, limit)

    def look(self) -> list[Probe]:
        """Publish who stands otherwise than at the last look; return the probes that are due, each for `make`."""
        board, at = self._at.board, now()
        catalog = self._at.directory.catalog
        subjects = [
            Subject(
                upstream=upstream,
                standing=board.standing(upstream, at),
                is_unknown=board.health(upstream.id, at).figures().attempts == 0,
            )
            for upstream in catalog.upstreams.values()
        ]
        for change in self._lookout.look([(each.upstream, each.standing) for each in subjects]):
            self._bus.publish(change)
        return self.policy.due(subjects, catalog.served, at)

    async def make(self, probe: Probe) -> None:
        """Make one probe and report it; returns when it is over."""
        provider = self._at.directory.providers.get(probe.upstream.provider)
        is_open = self._at.board.standing(probe.upstream, now()).breaker == "open"
        permit = (
            self._at.board.admit(probe.upstream, now(), prompt_tokens=_QUESTION.prompt_tokens, is_active=True)
            if provider is not None and not is_open
            else None
        )
        if provider is None or (permit is None and not is_open):
            self.policy.given_up(probe, now())
            return
        observation: ProbeObservation | None = None
        try:
            if probe.step == "completion" and permit is not None:
                observation = await self._completion(probe, provider, permit)
            else:
                observation = await self._free(probe, provider, permit)
        finally:
            if observation is None:
                self.policy.given_up(probe, now())
        self.policy.ended(probe, observation)
        self._bus.publish(observation)

    async def _guarded(self, probe: Probe, limit: anyio.Semaphore) -> None:
        try:
            async with limit:
                await self.make(probe)
        except Exception:  # noqa: BLE001 - a probe that breaks must not take the sidecar with it
            _log.exception("probe.broke", upstream=probe.upstream.id, step=probe.step)

    def _hear(self, observation: Observation) -> None:
        if isinstance(observation, AttemptObservation):
            self.policy.attempted(observation)

    async def _free(self, probe: Probe, provider: Provider, permit: Permit | None) -> ProbeObservation:
        """Connect, or ask for the models; `permit` None: only for figures."""
        check = _Check(self._transport, provider, stops_at_connection=probe.step == "connect")
        upstream, board, began_at = probe.upstream, self._at.board, now()
        try:
            failure = await check.run()
            if permit is not None and failure is not None:
                board.observe(permit, self._failed(probe, check, failure, began_at))
            elif permit is not None and check.connected_at is not None:
                board.connected(permit, upstream, check.connected_at)
        finally:
            if permit is not None and not permit.is_settled:
                board.give_back(permit, upstream, now())
        return ProbeObservation(
            upstream=upstream.id,
            provider=upstream.provider,
            step=probe.step,
            ok=failure is None,
            failure=None if failure is None else failure.kind,
            http_status=check.http_status,
            ended_at=now(),
            duration_s=now() - began_at,
        )

    def _failed(self, probe: Probe, check: "_Check", failure: Failure, began_at: float) -> AttemptObservation:
        upstream, ended_at = probe.upstream, now()
        return AttemptObservation(
            request_id=_id(),
            attempt=1,
            route="",
            upstream=upstream.id,
            provider=upstream.provider,
            credential=upstream.credential,
            model=upstream.model,
            stream=False,
            cause="probe",
            outcome="failed",
            failure=failure.without_quotes(),
            http_status=check.http_status,
            ended_at=ended_at,
            connect_s=None if check.connected_at is None else check.connected_at - began_at,
            duration_s=ended_at - began_at,
        )

    async def _completion(self, probe: Probe, provider: Provider, permit: Permit) -> ProbeObservation:
        """Ask for one token, as an attempt like any other."""
        upstream, board, id_ = probe.upstream, self._at.board, _id()
        seen: list[AttemptObservation] = []

        begun = self._at.spending.pricing.terms

        def settled(observation: AttemptObservation) -> None:
            if observation.failure is not None and observation.failure.kind == "empty":
                # One token of a model that thinks before it speaks is no content, and no fault.
                observation = replace(observation, outcome="succeeded", failure=None)
            seen.append(observation)
            board.observe(permit, observation)
            self._bus.publish(self._at.spending.spent(observation, begun))

        try:
            attempt = Attempt(
                AttemptOptions(
                    attempt=AttemptId(1),
                    cause="probe",
                    request_id=id_,
                    ledger_id=id_,
                    route="",
                    chat=_QUESTION,
                    decoder=lambda: provider.decoder(_QUESTION),
                    upstream=upstream,
                    provider=provider,
                    transport=self._transport,
                    forwarded={},
                    notify=_ignore,
                    connected=lambda: board.connected(permit, upstream, now()),
                    first_token=lambda: board.first_token(permit, upstream, now()),
                    reported=lambda report: board.reported(upstream, report, now()),
                    settled=settled,
                )
            )
        except BaseException:
            board.give_back(permit, upstream, now())
            raise
        await _run_until(attempt, ANSWER_S)
        return self._of_completion(probe, seen[0])

    def _of_completion(self, probe: Probe, attempt: AttemptObservation) -> ProbeObservation:
        usage, upstream = attempt.usage, probe.upstream
        is_billed = usage is not None and not upstream.is_simulated
        return ProbeObservation(
            upstream=upstream.id,
            provider=upstream.provider,
            step=probe.step,
            ok=attempt.outcome == "succeeded",
            failure=None if attempt.failure is None else attempt.failure.kind,
            http_status=attempt.http_status,
            ended_at=attempt.ended_at,
            duration_s=attempt.duration_s,
            cost_usd=price_usd(upstream, usage) if usage is not None and is_billed else probe.cost_usd,
        )


def _id() -> str:
    return f"probe_{uuid.uuid4().hex}"


async def _run_until(attempt: Attempt, limit_s: float) -> None:
    """Run an attempt, and end it as too late after `limit_s`."""
    late = Failure(kind="first_token_timeout", message=f"a probe had no answer after {limit_s:g} s")
    timer = asyncio.get_running_loop().call_later(limit_s, lambda: attempt.cancel("aborted", late))
    try:
        await attempt.run()
    finally:
        timer.cancel()


def _ignore(event: AttemptEvent) -> None:
    """There is no plan behind a probe."""


class _Check:
    """One exchange that costs nothing; an `ExchangeHandler`."""

    def __init__(self, transport: Transport, provider: Provider, *, stops_at_connection: bool) -> None:
        self.connected_at: float | None = None
        self.http_status: int | None = None
        self._stops_at_connection = stops_at_connection
        self._provider = provider
        self._head: ResponseHead | None = None
        self._body = b""
        self._failure: Failure | None = None
        self._is_over = False
        self._exchange = transport.exchange(provider.models_request(), self)

    async def run(self) -> Failure | None:
        """Perform it; return what speaks against the upstream."""
        with anyio.move_on_after(CONNECT_S if self._stops_at_connection else ANSWER_S):
            await self._exchange.run()
        self._exchange.abort()
        if self._is_over or self._failure is not None:
            return self._failure.scrubbed(self._provider.secrets) if self._failure is not None else None
        if self.connected_at is None:
            return Failure(kind="connect_timeout", message="a probe could not connect in time")
        return None if self._stops_at_connection else Failure(kind="headers_timeout", message="a probe had no answer")

    def on_connected(self) -> None:
        """See `ExchangeHandler`."""
        self.connected_at = now()
        if self._stops_at_connection:
            self._exchange.abort()

    def on_head(self, head: ResponseHead) -> None:
        """See `ExchangeHandler`."""
        self._head = head
        self.http_status = head.status
        if head.status < 300:
            self._is_over = True  # how many models there are is of no interest
            self._exchange.abort()

    def on_body(self, data: bytes) -> None:
        """See `ExchangeHandler`."""
        self._body += data
        if len(self._body) > MAX_ERROR_BYTES:
            self.on_end()
            self._exchange.abort()

    def on_end(self) -> None:
        """See `ExchangeHandler`."""
        head, self._is_over = self._head, True
        if head is not None and (head.status in _REFUSALS or head.status == 429 or head.status >= 500):
            wait_s = retry_after_s(head.headers, wall())
            self._failure = self._provider.failure(head.status, self._body, wait_s)

    def on_error(self, error: TransportError) -> None:
        """See `ExchangeHandler`."""
        if self._head is not None:
            self.on_end()  # the status has said enough
        else:
            self._failure = Failure(kind=error.failure, message=error.message)
