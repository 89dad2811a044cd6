"""The plan of every request: until the first content token reaches the client, any failure moves on to another
upstream; after it, an answer that breaks off is carried on by another.

    waiting ──Start──▶ trying ──Produced──▶ committed ──Succeeded──▶ Finish
       ▲                 │ Failed, deadline      │ Failed, stall
       └──── back-off ───┴──▶ next | Fail        └──▶ continuing ──Produced──▶ committed | Fail

`failover` asks one upstream at a time. `hedge` asks a second one when the first is late; `race` asks several at once.
In both the first *content token* wins, and the losers are cancelled at once. A probe is a call beside the first one, to
an upstream on its way back: it may win, and it is let live until its first token, because that is what it is for.

What is done about a failure is `core.health.classify`'s table; whom to ask next is `selection`, who carries on
`rescue`. The same upstream is asked again: at once where a stale connection was at fault; as often as the route says;
while the route lets a request wait for its preferred upstream; for a lone upstream, twice with back-off; and once where
it was late and nobody else is well.

Commit follows gRPC's rule for retries (A6), but later: on the first content token, not on response headers, because
LLM servers send those and then die.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streamroute.core.execution.calls import AttemptCount, Calls, LiveCall
from streamroute.core.execution.commands import Abandon, Command, Commit, Fail, Finish, Tried
from streamroute.core.execution.delivery import Delivery
from streamroute.core.execution.events import (
    AttemptEvent,
    ClientGone,
    ClientPaused,
    ClientResumed,
    Connected,
    Doubted,
    Failed,
    HeadReceived,
    Produced,
    Progressed,
    ShutDown,
    Succeeded,
)
from streamroute.core.execution.rescue import Ladder, RescueOptions
from streamroute.core.execution.selection import Selection, must_wait
from streamroute.core.health.classify import disposition
from streamroute.core.outcome import NOT_ASKED, AttemptCause, CancelReason, Failure, FailureKind
from streamroute.core.routing.decision import Candidate
from streamroute.core.upstream import Deadlines, RetryOptions, UpstreamId

LONE_RETRIES = 2
"""Further attempts where a route has one upstream: what the OpenAI and Anthropic SDKs do by default."""
MAX_BACKOFF_S = 2.0
"""The longest back-off between attempts that a person is waiting for."""
_MARGIN_S = 0.005
"""A timer may fire a little early, and a credential must not be used before its time."""
HEDGE_RETRIES, HEDGE_RETRY_S = 4, 0.25
"""A hedge that the budget has denied is asked for again: the ones that hold it may be over by then."""
STALE_RETRIES = 2
"""Pooled connections that the provider had closed: a second one may be stale too, a third is a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverOptions:
    """What the plan works with."""

    candidates: tuple[Candidate, ...]
    """In the order in which they should be asked."""
    stream: bool
    arrived_at: float
    deadlines: Deadlines = Deadlines()
    retry: RetryOptions = RetryOptions()
    max_attempts: int = 16
    """Over all upstreams: a bound, not a target. Stale connections and refused permits do not count:
    nothing was asked of anyone."""
    client_limits: frozenset[FailureKind] = frozenset()
    """Deadlines that are the client's wish and not the route's: missing them says nothing about an upstream."""
    jitter: tuple[float, ...] = (0.5,)
    """Draws from [0, 1) for back-offs, used in turn: the core draws no random numbers."""
    hedge_after_s: float | None = None
    """Silence of the upstream that was asked, after which another one is asked beside it; None: never."""
    race_width: int = 1
    """Upstreams that are asked at once; 1: no race."""
    probe: Candidate | None = None
    """An upstream on its way back, to be tried beside the first one."""
    rescue: RescueOptions | None = None
    """None: an answer that breaks off is an error."""
    first_cause: AttemptCause = "first"
    """Why the first call is made."""
    attempts: AttemptCount | None = None
    """So far, where the request has other calls than this plan's; None: there are none."""


class Failover:
    """A `Plan`: see `core.execution.plan`."""

    def __init__(self, options: FailoverOptions) -> None:
        self._options = options
        self._selection = Selection(options.candidates)
        self._calls = Calls(
            options.deadlines,
            stream=options.stream,
            max_attempts=options.max_attempts,
            client_limits=options.client_limits,
            attempts=options.attempts,
        )
        self._total_at = options.arrived_at + options.deadlines.total_s
        self._waiting: tuple[float, Candidate] | None = None
        self._hedge_at: float | None = None
        self._hedges_denied = 0
        self._tried: list[Tried] = []
        self._asked_again: dict[UpstreamId, int] = {}
        self._stale: dict[UpstreamId, int] = {}
        self._backoffs = 0
        self._delivery: Delivery | None = None
        self._is_over = False

    @property
    def hedge_after_s(self) -> float | None:
        """Silence of the upstream that was asked, after which another one is asked beside it; None: never."""
        return self._options.hedge_after_s

    def start(self, now: float) -> Sequence[Command]:
        """Ask the first upstream, or wait for the preferred one; in a race, ask its rivals too."""
        options = self._options
        preferred = options.candidates[0] if options.candidates else None
        if preferred is not None and self._can_wait(preferred.standing.until, now) and not preferred.is_ready_at(now):
            return self._wait(preferred, (preferred.standing.until or now) + _MARGIN_S)
        commands = [*self._next(now, None, cause=options.first_cause)]
        for _ in range(options.race_width - 1):
            commands += self._back_up(now, "race")
        if options.probe is not None and not self._calls.is_exhausted and not self._is_over:
            self._selection.take(options.probe)  # never asked twice at once
            commands.append(self._calls.start(options.probe, now, cause="probe"))
        return commands

    def handle(self, event: AttemptEvent, now: float) -> Sequence[Command]:  # noqa: C901, PLR0911, PLR0912 - a case an event
        """React to what happened; see `Plan.handle`."""
        if self._is_over:
            return ()
        match event:
            case ClientGone():
                return self._end(Abandon(), "client_gone")
            case ShutDown():
                failure = Failure(kind="shutting_down", message="the sidecar is shutting down")
                return self._end(self._fail(failure, now), "shutting_down")
            case Doubted(upstream=upstream):
                return self._doubted(upstream, now)
            case ClientPaused():
                if self._delivery is not None:
                    self._delivery.paused()
                return ()
            case ClientResumed():
                if self._delivery is not None:
                    self._delivery.resumed(now)
                return ()
        call = self._calls.of(event.attempt)
        if call is None:
            return ()
        match event:
            case Connected():
                call.watchdog.connected(now)
            case HeadReceived():
                call.watchdog.head_received(now)
            case Progressed(at=at):
                if self._delivery is not None:
                    return self._delivery.progressed(call, at)
                call.watchdog.progressed(at)
            case Produced():
                call.watchdog.progressed(now)
                return self._commit(call) if self._delivery is None else self._delivery.produced(call, now)
            case Succeeded():
                return self._succeeded(call, now)
            case Failed(failure=failure):
                self._calls.ended(call)
                return self._failed(call, failure, now)
        return ()

    def next_deadline(self) -> float | None:
        """Return when time alone changes something."""
        if self._is_over:
            return None
        due = min(self._total_at, self._calls.due())
        if self._waiting is not None:
            due = min(due, self._waiting[0])
        if self._hedge_at is not None:
            due = min(due, self._hedge_at)
        if self._delivery is not None:
            due = min(due, self._delivery.due())
        return due

    def on_deadline(self, now: float) -> Sequence[Command]:
        """React to the time; see `Plan.on_deadline`."""
        if self._is_over:
            return ()
        if now >= self._total_at:
            return self._out_of_time(now)
        commands: list[Command] = []
        for call in self._calls:
            if now >= call.watchdog.due and not self._is_over:
                failure = self._calls.late(call, now)
                commands.append(self._calls.cancel(call, "lost", failure))
                commands += self._failed(call, failure, now)
        if self._waiting is not None and now >= self._waiting[0]:
            candidate = self._waiting[1]
            self._waiting = None
            commands += self._ask(
                candidate, now, cause="failover" if self._calls.has_begun else self._options.first_cause
            )
        if self._hedge_at is not None and now >= self._hedge_at:
            self._hedge_at = None
            if not any(call.watchdog.is_flowing for call in self._calls):  # tool calls that are held back are no delay
                commands += self._back_up(now, "hedge")
        if self._delivery is not None and not self._is_over:
            commands += self._after(self._delivery.on_due(now), now)
        return commands

    # -- what to do about what happened

    def _commit(self, winner: LiveCall) -> Sequence[Command]:
        rescue = self._options.rescue if self._options.stream else None
        ladder = None if rescue is None else Ladder(rescue, self._options.candidates)
        self._delivery = Delivery(self._calls, winner, ladder, self._tried)
        self._hedge_at = self._waiting = None
        losers = [call for call in self._calls if call is not winner and call.cause != "probe"]
        return [Commit(winner.attempt), *(self._calls.cancel(call, "lost") for call in losers)]

    def _succeeded(self, call: LiveCall, now: float) -> Sequence[Command]:
        commands: list[Command] = []
        if self._delivery is None:
            commands += self._commit(call)
        elif self._delivery.speaker is not call:
            if call.cause != "continuation":
                self._calls.ended(call)
                return ()
            commands += self._delivery.produced(call, now)  # there was nothing to add but the end
        self._calls.ended(call)
        self._is_over = True
        return [*commands, *self._calls.cancel_all("lost"), Finish(call.attempt)]

    def _failed(self, call: LiveCall, failure: Failure, now: float) -> Sequence[Command]:
        if self._delivery is not None:
            return self._after(self._delivery.failed(call, failure, now), now)
        upstream = call.candidate.upstream
        stale = self._stale.get(upstream.id, 0)
        if failure.kind == "stale_connection" and stale < STALE_RETRIES:
            self._stale[upstream.id] = stale + 1
            self._calls.not_made()
            return self._ask(call.candidate, now, cause=call.cause, is_last_resort=call.is_last_resort)
        if call.cause in {"probe", "hedge", "race"} and (call.cause == "probe" or failure.kind in NOT_ASKED):
            return self._beside(call, failure, now)
        if failure.kind in NOT_ASKED and not call.is_last_resort:
            return self._refused(call, failure, now)
        self._tried.append(Tried(upstream=upstream.id, failure=failure))
        self._selection.failed(upstream)
        if call.is_hurried and failure.kind == "first_token_timeout":
            self._selection.late(call.candidate)
        meaning = disposition(failure.kind)
        if meaning.next_step == "stop":
            return self._give_up(failure, now)
        if meaning.next_step == "larger_context":
            self._selection.keep_larger(upstream)
        if self._calls.is_anyone_asked:
            return ()  # somebody else is being asked, and may well answer
        if meaning.next_step == "return" or self._calls.is_exhausted:
            return self._give_up(failure, now)
        again = None if meaning.next_step == "larger_context" else self._again(call, failure, now)
        return self._next(now, failure) if again is None else again

    def _refused(self, call: LiveCall, failure: Failure, now: float) -> Sequence[Command]:
        """A call was not to be made: its breaker has opened since the decision, or its credential must wait."""
        self._calls.not_made()
        until = None if failure.retry_after_s is None else now + failure.retry_after_s + _MARGIN_S
        if call.candidate is self._options.candidates[0] and self._can_wait(until, now):
            return self._wait(call.candidate, until or now)
        self._selection.put_off(call.candidate)  # another one first, this one as the last resort
        return self._next(now, failure)

    def _beside(self, call: LiveCall, failure: Failure, now: float) -> Sequence[Command]:
        """A call beside the first one was not to be made, or was a probe and has failed: nothing depends on it."""
        if failure.kind in NOT_ASKED:
            self._calls.not_made()
        if call.cause != "probe":
            self._selection.give_back(call.candidate)
        if call.cause == "hedge" and self._hedges_denied < HEDGE_RETRIES:
            self._hedges_denied += 1
            self._hedge_at = now + HEDGE_RETRY_S
        if self._calls.is_anyone_asked or self._waiting is not None:
            return ()
        return self._give_up(self._tried[-1].failure if self._tried else failure, now)

    def _again(self, call: LiveCall, failure: Failure, now: float) -> Sequence[Command] | None:
        """Ask the same upstream once more, now or later; None where another should be asked."""
        candidate, upstream = call.candidate, call.candidate.upstream.id
        meaning = disposition(failure.kind)
        asked_again = self._asked_again.get(upstream, 0)
        may_ask_again = meaning.is_transient and asked_again < self._options.retry.same_upstream
        is_lone = len(self._options.candidates) == 1 and not call.is_last_resort
        may_ask_again |= meaning.is_transient and is_lone and asked_again < LONE_RETRIES
        is_preferred = candidate is self._options.candidates[0]
        backoff_s = self._backoff_s()
        if failure.retry_after_s is not None:
            backoff_s = max(backoff_s, failure.retry_after_s + _MARGIN_S)
            may_ask_again &= failure.retry_after_s <= MAX_BACKOFF_S
        if is_preferred and (meaning.is_transient or failure.kind == "rate_limited"):
            may_ask_again |= self._can_wait(now + backoff_s, now)
        if not may_ask_again or now + backoff_s >= self._total_at:
            return None
        self._asked_again[upstream] = asked_again + 1
        self._backoffs += 1
        return self._wait(candidate, now + backoff_s)

    def _next(self, now: float, failure: Failure | None, cause: AttemptCause = "failover") -> Sequence[Command]:
        """Ask the best upstream that was not asked yet; give up where there is none."""
        best = self._selection.best(now)
        if best is not None:
            return self._ask(best[0], now, cause=cause, is_last_resort=best[1])
        if any(call.cause == "probe" for call in self._calls):
            return ()  # the last hope
        return self._give_up(failure or self._blocked(now), now)

    def _doubted(self, upstream: UpstreamId, now: float) -> Sequence[Command]:
        """Hedge now where everyone who was asked is under suspicion: whoever came earlier has shown that waiting is
        of no use."""
        if self._hedge_at is None:
            return ()
        asked = [call for call in self._calls if call.cause != "probe"]
        if any(call.candidate.upstream.id != upstream or call.watchdog.is_flowing for call in asked):
            return ()
        self._hedge_at = None
        return self._back_up(now, "hedge")

    def _back_up(self, now: float, cause: AttemptCause) -> Sequence[Command]:
        """Ask a further upstream beside the ones under way, if there is one that is well and may be asked."""
        if self._delivery is not None or self._calls.is_exhausted or self._is_over:
            return ()
        busy = {call.candidate.upstream.failure_domain for call in self._calls if call.cause != "probe"}
        candidate = self._selection.backup(now, busy) if busy else None
        return () if candidate is None else self._ask(candidate, now, cause=cause)

    def _after(self, commands: Sequence[Command], now: float) -> Sequence[Command]:
        """Perform what the delivery asks for; fail where it has lost the answer."""
        if self._delivery is not None and self._delivery.failure is not None:
            return [*commands, *self._give_up(self._delivery.failure, now)]
        return commands

    # -- small steps

    def _ask(
        self, candidate: Candidate, now: float, *, cause: AttemptCause, is_last_resort: bool = False
    ) -> Sequence[Command]:
        self._selection.take(candidate)
        if cause not in {"hedge", "race", "probe"} and self._options.stream and self._options.hedge_after_s is not None:
            self._hedge_at = now + self._options.hedge_after_s
        is_last = self._selection.is_last_chance(candidate)
        return [self._calls.start(candidate, now, cause=cause, is_last_resort=is_last_resort, is_last=is_last)]

    def _blocked(self, now: float) -> Failure:
        soonest = self._selection.soonest(now)
        if soonest is None:
            return Failure(kind="blocked", message="there is no upstream to ask")
        return must_wait(soonest, now)

    def _wait(self, candidate: Candidate, until: float) -> Sequence[Command]:
        self._waiting = (until, candidate)
        return ()

    def _can_wait(self, until: float | None, now: float) -> bool:
        """Return whether the route lets this request wait for its preferred upstream that long."""
        latest = self._options.arrived_at + self._options.retry.wait_for_preferred_s
        return until is not None and now < until <= latest

    def _backoff_s(self) -> float:
        jitter = self._options.jitter[self._backoffs % len(self._options.jitter)]
        return min(MAX_BACKOFF_S, self._options.retry.backoff_s * 2.0**self._backoffs) * (0.75 + 0.5 * jitter)

    def _out_of_time(self, now: float) -> Sequence[Command]:
        message = f"no whole answer within {self._options.deadlines.total_s:g} s"
        failure = Failure(kind="total_timeout", message=message)
        asked = [call.candidate.upstream.id for call in self._calls if call.cause != "probe"]
        self._tried += [Tried(upstream=upstream, failure=failure) for upstream in asked]
        return [*self._calls.cancel_all("lost", failure), *self._give_up(failure, now)]

    def _give_up(self, failure: Failure, now: float) -> Sequence[Command]:
        return self._end(self._fail(failure, now), "lost")

    def _fail(self, failure: Failure, now: float) -> Fail:
        return Fail(
            failure=failure,
            tried=tuple(self._tried),
            skipped=tuple(Tried(upstream=who, failure=why) for who, why in self._selection.waiting(now)),
            is_committed=self._delivery is not None,
        )

    def _end(self, last: Fail | Abandon, reason: CancelReason) -> Sequence[Command]:
        self._is_over = True
        return [*self._calls.cancel_all(reason), last]
