"""Carries out the core's plans in virtual time: the runner and the attempts of the engine, without I/O."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from failover_lab.core import Core
from failover_lab.records import CallRecord, RequestRecord
from failover_lab.scheduler import Scheduler
from failover_lab.world import TOKEN_CHARS, CallCourse, Request, World
from streamroute.core.execution.admission import Leave
from streamroute.core.execution.commands import Abandon, Cancel, Command, Commit, Fail, Finish, Start
from streamroute.core.execution.events import (
    AttemptEvent,
    AttemptId,
    ClientGone,
    Connected,
    Doubted,
    Failed,
    HeadReceived,
    Produced,
    Progressed,
    Succeeded,
)
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import CancelReason, Failure, OutcomeKind
from streamroute.core.upstream import UpstreamId
from streamroute.core.usage import Usage

_CONTINUING = {"prefill", "prefix", "continue_final_message", "instructed"}
"""Rungs on which the new text begins where the old one ended; on the others the answer begins anew."""


class CoreClient:
    """Serves requests as the engine would."""

    def __init__(
        self, scheduler: Scheduler, world: World, core: Core, patience_s: float, looked: Callable[[float], None]
    ) -> None:
        """`patience_s`: of clients without a first token. `looked` is called whenever the board may have changed its
        mind."""
        self.patience_s = patience_s
        self.scheduler = scheduler
        self.world = world
        self.core = core
        self.looked = looked
        self.flights: dict[int, _Flight] = {}
        """Requests that are being served."""
        core.board.on_doubt = self._on_doubt

    def _on_doubt(self, upstream: UpstreamId) -> None:
        """As the engine: once the board is done with what it is doing."""
        self.scheduler.at(self.scheduler.now, partial(self._tell_doubt, upstream))

    def _tell_doubt(self, upstream: UpstreamId) -> None:
        for flight in list(self.flights.values()):
            flight.feed(Doubted(upstream))

    def serve(self, request: Request, record: RequestRecord) -> None:
        """Begin a request."""
        _Flight(self, request, record).begin()


class _Call:
    """One attempt under way."""

    __slots__ = (
        "course",
        "from_token",
        "is_over",
        "is_produced",
        "leave",
        "record",
        "start",
        "told_progress_at",
    )

    def __init__(self, start: Start, course: CallCourse, record: CallRecord, leave: Leave, from_token: int) -> None:
        self.start = start
        self.course = course
        self.record = record
        self.leave = leave
        self.from_token = from_token
        self.is_over = False
        self.is_produced = False
        self.told_progress_at = 0.0


class _Flight:
    """One request from its arrival to its end."""

    def __init__(self, client: CoreClient, request: Request, record: RequestRecord) -> None:
        self._client = client
        self._scheduler = client.scheduler
        self._request = request
        self._record = record
        self._inbox: deque[Callable[[float], Sequence[Command]]] = deque()
        self._is_feeding = False
        self._is_over = False
        self._calls: dict[AttemptId, _Call] = {}
        self._asked: dict[str, int] = {}
        self._speaker: _Call | None = None
        self._delivered = 0
        """Tokens that the client has of the legs before the speaker."""
        self._last_text_at = 0.0
        self._armed_at = math.inf
        now = self._scheduler.now
        self._decision = client.core.decide(request, now)
        self._plan = client.core.plan(self._decision, request)

    def begin(self) -> None:
        """Start the plan."""
        self._client.flights[self._request.number] = self
        self._ask(self._plan.start)
        if not self._is_over:
            self._scheduler.at(self._request.arrived_at + self._client.patience_s, self._lose_patience)

    # -- the runner

    def feed(self, event: AttemptEvent) -> None:
        """Tell the plan what happened."""
        self._ask(partial(self._plan.handle, event))

    def _ask(self, question: Callable[[float], Sequence[Command]]) -> None:
        if self._is_over:
            return
        self._inbox.append(question)
        if self._is_feeding:
            return
        self._is_feeding = True
        while self._inbox and not self._is_over:
            for command in self._inbox.popleft()(self._scheduler.now):
                self._perform(command)
        self._is_feeding = False
        if not self._is_over:
            self._arm()

    def _perform(self, command: Command) -> None:
        match command:
            case Start():
                self._start(command)
            case Cancel(attempt=attempt, reason=reason, failure=failure):
                call = self._calls.get(attempt)
                if call is not None:
                    self._settle(call, "cancelled" if failure is None else "failed", failure=failure, reason=reason)
            case Commit(attempt=attempt):
                self._commit(self._calls[attempt])
            case Finish():
                self._record.is_whole = True
                self._end()
            case Fail(failure=failure):
                self._record.error = failure.kind
                self._end()
            case Abandon():
                self._record.error = self._record.error or "abandoned"
                self._end()

    def _end(self) -> None:
        self._is_over = True
        del self._client.flights[self._request.number]
        self._take_text()
        if self._record.is_whole:
            missing = self._request.output_tokens - self._delivered
            self._record.lost_chars += max(0, missing) * TOKEN_CHARS
        for call in self._calls.values():
            self._settle(call, "cancelled", reason="aborted")

    def _lose_patience(self) -> None:
        if not self._is_over and self._record.ttft_s is None:
            self._record.error = "too late"
            self.feed(ClientGone())

    def _arm(self) -> None:
        due = self._plan.next_deadline()
        if due is None or due >= self._armed_at or math.isinf(due):
            return
        self._armed_at = due
        self._scheduler.at(due, partial(self._on_timer, due))

    def _on_timer(self, due: float) -> None:
        if self._is_over or due != self._armed_at:
            return
        self._armed_at = math.inf
        for call in list(self._calls.values()):
            self._report_progress(call)
        self._ask(self._plan.on_deadline)

    def _report_progress(self, call: _Call) -> None:
        if call.is_over or not call.is_produced:
            return
        at = call.course.last_token_at(self._scheduler.now)
        if at > call.told_progress_at:
            call.told_progress_at = at
            self.feed(Progressed(call.start.attempt, at))

    # -- attempts

    def _start(self, start: Start) -> None:
        now, name = self._scheduler.now, str(start.upstream.id)
        prompt_tokens, class_ = self._request.prompt_tokens, self._decision.latency_class
        leave = self._client.core.admission.admit(
            start,
            now,
            latency_class=class_,
            prompt_tokens=prompt_tokens,
            is_stream=True,
            in_flight=len(self._client.flights),
        )
        if isinstance(leave, Failure):
            self.feed(Failed(start.attempt, leave))
            return
        if self._record.primary is None and start.cause == "first":
            self._record.primary = name
        self._take_text()
        from_token = self._delivered if start.rung in _CONTINUING else 0
        nth = self._asked.get(name, 0)
        self._asked[name] = nth + 1
        course = self._client.world.call(name, self._request, nth, now, from_token=from_token)
        record = CallRecord(name, start.cause, now)
        self._record.calls.append(record)
        call = self._calls[start.attempt] = _Call(start, course, record, leave, from_token)
        at = self._scheduler.at
        if course.connected_at < course.ends_at:
            at(course.connected_at, partial(self._connected, call))
        if course.head_at < course.ends_at:
            at(course.head_at, partial(self._tell, call, HeadReceived(start.attempt)))
        if course.tokens:
            at(course.first_token_at, partial(self._produced, call))
        if not math.isinf(course.ends_at):
            at(course.ends_at, partial(self._over, call))

    def _connected(self, call: _Call) -> None:
        if not call.is_over:
            call.record.was_connected = True
            self._client.core.admission.connected(call.leave, self._scheduler.now)
            self.feed(Connected(call.start.attempt))

    def _tell(self, call: _Call, event: AttemptEvent) -> None:
        if not call.is_over:
            self.feed(event)

    def _produced(self, call: _Call) -> None:
        if call.is_over:
            return
        call.is_produced = True
        self._client.core.admission.first_token(call.leave, self._scheduler.now)
        self.feed(Produced(call.start.attempt))
        self._client.looked(self._scheduler.now)

    def _over(self, call: _Call) -> None:
        if call.is_over:
            return
        course, attempt = call.course, call.start.attempt
        self._report_progress(call)
        if call is self._speaker:
            self._take_text()
        if course.failure is None:
            self._settle(call, "succeeded")
            self.feed(Succeeded(attempt))
            return
        failure = Failure(
            kind=course.failure, message="simulated", http_status=course.status, retry_after_s=course.retry_after_s
        )
        self._settle(call, "failed", failure=failure)
        self.feed(Failed(attempt, failure))

    def _commit(self, call: _Call) -> None:
        now = self._scheduler.now
        if self._speaker is None:
            self._record.ttft_s = now - self._request.arrived_at
        else:
            self._take_text()
            self._record.seam_gaps_s.append(now - self._last_text_at)
            if call.start.rung not in _CONTINUING:
                self._record.repeated_chars += self._delivered * TOKEN_CHARS
            elif call.from_token < self._delivered:
                self._record.repeated_chars += (self._delivered - call.from_token) * TOKEN_CHARS
        call.record.was_used = True
        self._delivered = call.from_token
        self._speaker = call
        self._last_text_at = now

    def _take_text(self) -> None:
        """Count what the speaker has delivered so far."""
        call = self._speaker
        if call is not None and not call.is_over:
            now = self._scheduler.now
            self._delivered = call.from_token + call.course.tokens_by(now)
            self._last_text_at = max(self._last_text_at, call.course.last_token_at(now))

    def _settle(
        self, call: _Call, outcome: OutcomeKind, *, failure: Failure | None = None, reason: CancelReason | None = None
    ) -> None:
        if call.is_over:
            return
        now, course, upstream = self._scheduler.now, call.course, call.start.upstream
        if call is self._speaker:
            self._take_text()
        call.is_over = True
        tokens = course.tokens_by(now)
        call.record.ended_at = now
        call.record.tokens = tokens
        call.record.is_error = course.status != 200
        if course.status == 429 and course.ends_at <= now:
            call.record.limited_until = now + (course.retry_after_s or 0.0)
        self._client.world.ended(str(upstream.id))
        has_head = course.head_at <= now
        at = call.record.at
        self._client.core.observe(
            call.leave,
            AttemptObservation(
                request_id=str(self._request.number),
                attempt=call.start.attempt,
                route=self._decision.route.name,
                upstream=upstream.id,
                provider=upstream.provider,
                credential=upstream.credential,
                model=upstream.model,
                stream=True,
                cause=call.start.cause,
                rung=call.start.rung,
                outcome=outcome,
                failure=failure,
                cancel_reason=reason if failure is None else None,
                http_status=course.status if has_head else None,
                ended_at=now,
                connect_s=course.connected_at - at if course.connected_at <= now else None,
                headers_s=course.head_at - at if has_head else None,
                ttft_s=course.first_token_at - at if tokens else None,
                duration_s=now - at,
                usage=Usage(input_tokens=self._request.prompt_tokens, output_tokens=tokens)
                if outcome == "succeeded"
                else None,
                prompt_tokens=self._request.prompt_tokens,
                content_events=tokens,
                max_gap_s=self._max_gap_s(call, tokens),
                rate_limit=course.rate_limit if has_head else None,
                is_committed=call.record.was_used,
            ),
        )
        self._client.looked(now)

    def _max_gap_s(self, call: _Call, tokens: int) -> float | None:
        if tokens < 2:
            return None
        silence_s = self._scheduler.now - call.course.last_token_at(self._scheduler.now)
        return max(call.course.max_gap_s, silence_s)
