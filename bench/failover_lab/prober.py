"""The product's active probes in virtual time: its own policy, and calls that no client asked for.

The engine's prober does the same with sockets: free probes (a connection, a list of models) that fail count as failed
attempts, ones that succeed prove little; a completion of one token is an attempt like any other.
"""

import math
from collections.abc import Callable
from functools import partial

from failover_lab.core import Core
from failover_lab.records import CallRecord, RunRecord
from failover_lab.scheduler import Scheduler
from failover_lab.world import CallCourse, Request, World
from streamroute.core.health.breaker import Permit
from streamroute.core.health.probing import Probe
from streamroute.core.observation import AttemptObservation, ProbeObservation
from streamroute.core.outcome import Failure, FailureKind, OutcomeKind
from streamroute.core.usage import Usage
from streamroute.engine.prober import ANSWER_S, CONNECT_S, MAX_LAG_S, TICK_S

_FIRST_NUMBER = 5_000_000
"""Of the requests that probes are; far from those of clients, so that they draw their own luck."""


class CoreProber:
    """Looks twice a second whether a probe is due."""

    def __init__(
        self, scheduler: Scheduler, world: World, core: Core, record: RunRecord, looked: Callable[[float], None]
    ) -> None:
        self._scheduler = scheduler
        self._world = world
        self._core = core
        self._record = record
        self._looked = looked
        self._count = 0
        self._until_s = 0.0

    def run(self, until_s: float) -> None:
        """Probe until then."""
        self._until_s = until_s
        self._tick(self._scheduler.now)

    def _tick(self, due: float) -> None:
        now = self._scheduler.now
        if now - due > MAX_LAG_S:
            self._core.board.local_trouble(now, now - due)
        for probe in self._core.probes_due(now):
            self._make(probe, now)
        if now < self._until_s:
            self._scheduler.at(now + TICK_S, partial(self._tick, now + TICK_S))

    def _make(self, probe: Probe, now: float) -> None:
        upstream, board = probe.upstream, self._core.board
        is_open = board.standing(upstream, now).breaker == "open"
        permit = None if is_open else board.admit(upstream, now, is_active=True)
        if permit is None and not is_open:
            self._core.probing.given_up(probe, now)
            return
        request = Request(number=_FIRST_NUMBER + self._count, arrived_at=now, prompt_tokens=20, output_tokens=1)
        self._count += 1
        course = self._world.call(str(upstream.id), request, 0, now)
        call = CallRecord(str(upstream.id), "probe", now, is_free=probe.step != "completion")
        self._record.probes.append(call)
        if probe.step == "connect":
            ends_at, limit_s = course.connected_at, CONNECT_S
        elif probe.step == "models":
            ends_at, limit_s = course.head_at, ANSWER_S
        else:
            ends_at, limit_s = course.ends_at, ANSWER_S
        at = min(ends_at, course.ends_at, now + limit_s)
        if permit is not None and course.connected_at < at:
            self._scheduler.at(course.connected_at, partial(self._connected, permit, probe))
        if permit is not None and probe.step == "completion" and course.first_token_at <= at and course.tokens:
            self._scheduler.at(course.first_token_at, partial(self._first_token, permit, probe))
        self._scheduler.at(at, partial(self._over, probe, permit, course, call))

    def _connected(self, permit: Permit, probe: Probe) -> None:
        self._core.board.connected(permit, probe.upstream, self._scheduler.now)

    def _first_token(self, permit: Permit, probe: Probe) -> None:
        self._core.board.first_token(permit, probe.upstream, self._scheduler.now)

    def _over(self, probe: Probe, permit: Permit | None, course: CallCourse, call: CallRecord) -> None:
        now, upstream, board = self._scheduler.now, probe.upstream, self._core.board
        self._world.ended(str(upstream.id))
        failure = self._failure(probe, course, now)
        call.ended_at, call.was_connected, call.is_error = now, course.connected_at <= now, course.status != 200
        call.tokens = course.tokens_by(now) if probe.step == "completion" else 0
        if permit is not None:
            if probe.step == "completion" or failure is not None:
                self._core.probe_ended(permit, self._observation(probe, course, failure, call))
            else:
                board.give_back(permit, upstream, now)
        self._core.probing.ended(
            probe,
            ProbeObservation(
                upstream=upstream.id,
                provider=upstream.provider,
                step=probe.step,
                ok=failure is None,
                failure=None if failure is None else failure.kind,
                http_status=course.status,
                ended_at=now,
                duration_s=now - call.at,
                cost_usd=probe.cost_usd,
            ),
        )
        self._looked(now)

    def _failure(self, probe: Probe, course: CallCourse, now: float) -> Failure | None:
        if course.failure is not None and course.ends_at <= now:
            return Failure(kind=course.failure, message="simulated", retry_after_s=course.retry_after_s)
        waited_for = {"connect": course.connected_at, "models": course.head_at}.get(probe.step, course.ends_at)
        if math.isinf(waited_for) or waited_for > now:
            kind: FailureKind = "connect_timeout" if probe.step == "connect" else "first_token_timeout"
            return Failure(kind=kind, message="simulated")
        return None

    def _observation(
        self, probe: Probe, course: CallCourse, failure: Failure | None, call: CallRecord
    ) -> AttemptObservation:
        upstream = probe.upstream
        outcome: OutcomeKind = "succeeded" if failure is None else "failed"
        return AttemptObservation(
            request_id=f"probe_{self._count}",
            attempt=1,
            route="",
            upstream=upstream.id,
            provider=upstream.provider,
            credential=upstream.credential,
            model=upstream.model,
            stream=probe.step == "completion",
            cause="probe",
            outcome=outcome,
            failure=failure,
            http_status=course.status,
            ended_at=call.ended_at,
            connect_s=course.connected_at - call.at if call.was_connected else None,
            headers_s=course.head_at - call.at if course.head_at <= call.ended_at else None,
            ttft_s=course.first_token_at - call.at if call.tokens else None,
            duration_s=call.ended_at - call.at,
            usage=Usage(input_tokens=20, output_tokens=1) if failure is None else None,
            prompt_tokens=20,
            content_events=call.tokens,
        )
