"""The `failover` plan: one upstream at a time; until the first content token reaches the client, any failure moves on.

    waiting ──Start──▶ trying ──Produced──▶ committed ──Succeeded──▶ Finish
       ▲                 │ Failed, deadline      │ Failed, stall
       └──── back-off ───┴──▶ next | Fail        └──▶ Fail

What is done about a failure is `core.health.classify`'s table; here stands the order in which upstreams are asked:

1. The preference of the route, those that stand `ready` first; upstreams of a failure domain that has not failed in
   this request before those of one that has.
2. Upstreams whose breaker is open are a last resort; ones whose credential must wait are not asked before its time.
3. The same upstream again: at once where a stale connection was at fault; as often as the route says; while the
   route lets a request wait for its preferred upstream; and, for a lone upstream, twice with back-off.

Commit follows gRPC's rule for retries (A6), but later: on the first content token, not on response headers, because
LLM servers send those and then die.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamroute.core.execution.commands import Abandon, Cancel, Command, Commit, Fail, Finish, Start, Tried
from streamroute.core.execution.events import (
    AttemptEvent,
    AttemptId,
    ClientGone,
    ClientPaused,
    ClientResumed,
    Connected,
    Failed,
    HeadReceived,
    Produced,
    Progressed,
    ShutDown,
    Succeeded,
)
from streamroute.core.execution.watchdog import Watchdog
from streamroute.core.health.classify import disposition
from streamroute.core.health.standing import Standing
from streamroute.core.outcome import CancelReason, Failure, FailureKind
from streamroute.core.routing.decision import Candidate
from streamroute.core.upstream import Deadlines, RetryOptions, Upstream, UpstreamId

LONE_RETRIES = 2
"""Further attempts where a route has one upstream: what the OpenAI and Anthropic SDKs do by default."""
MAX_BACKOFF_S = 2.0
"""The longest back-off between attempts that a person is waiting for."""
_MARGIN_S = 0.005
"""A timer may fire a little early, and a credential must not be used before its time."""
STALE_RETRIES = 2
"""Pooled connections that the provider had closed: a second one may be stale too, a third is a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailoverOptions:
    """What a failover plan works with."""

    candidates: tuple[Candidate, ...]
    """In the order of preference."""
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


@dataclass(slots=True)
class _Try:
    attempt: AttemptId
    candidate: Candidate
    watchdog: Watchdog
    is_last_resort: bool


class Failover:
    """A `Plan`: see `core.execution.plan`."""

    def __init__(self, options: FailoverOptions) -> None:
        self._options = options
        self._untried = list(options.candidates)
        self._total_at = options.arrived_at + options.deadlines.total_s
        self._current: _Try | None = None
        self._waiting: tuple[float, Candidate] | None = None
        self._tried: list[Tried] = []
        self._failed_domains: set[str] = set()
        self._asked_again: dict[UpstreamId, int] = {}
        self._stale: dict[UpstreamId, int] = {}
        self._attempts = 0
        self._uncounted = 0
        self._backoffs = 0
        self._is_committed = False
        self._is_over = False

    def start(self, now: float) -> Sequence[Command]:
        """Ask the first upstream, or wait for the preferred one."""
        preferred = self._options.candidates[0] if self._options.candidates else None
        if preferred is not None and self._can_wait(preferred.standing.until, now) and not preferred.is_ready_at(now):
            return self._wait(preferred, (preferred.standing.until or now) + _MARGIN_S)
        return self._next(now, None)

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
            case ClientPaused():
                if self._current is not None:
                    self._current.watchdog.paused()
                return ()
            case ClientResumed():
                if self._current is not None:
                    self._current.watchdog.resumed(now)
                return ()
        current = self._current
        if current is None or event.attempt != current.attempt:
            return ()
        match event:
            case Connected():
                current.watchdog.connected(now)
            case HeadReceived():
                current.watchdog.head_received(now)
            case Progressed(at=at):
                current.watchdog.progressed(at)
            case Produced():
                current.watchdog.progressed(now)
                return self._commit(current)
            case Succeeded():
                self._is_over = True
                return [*self._commit(current), Finish(current.attempt)]
            case Failed(failure=failure):
                return self._failed(current, failure, now)
        return ()

    def next_deadline(self) -> float | None:
        """Return when time alone changes something."""
        if self._is_over:
            return None
        due = self._total_at
        if self._current is not None:
            due = min(due, self._current.watchdog.due)
        if self._waiting is not None:
            due = min(due, self._waiting[0])
        return due

    def on_deadline(self, now: float) -> Sequence[Command]:
        """React to the time; see `Plan.on_deadline`."""
        if self._is_over:
            return ()
        if now >= self._total_at:
            return self._out_of_time(now)
        current = self._current
        if current is not None and now >= current.watchdog.due:
            failure = self._late(current.watchdog.verdict)
            cancel = Cancel(current.attempt, "lost", failure)
            return [cancel, *self._failed(current, failure, now)]
        if self._waiting is not None and now >= self._waiting[0]:
            candidate = self._waiting[1]
            self._waiting = None
            return self._ask(candidate, now, is_last_resort=False)
        return ()

    # -- what to do about a failure

    def _failed(self, current: _Try, failure: Failure, now: float) -> Sequence[Command]:
        upstream = current.candidate.upstream
        self._current = None
        stale = self._stale.get(upstream.id, 0)
        if failure.kind == "stale_connection" and stale < STALE_RETRIES and not self._is_committed:
            self._stale[upstream.id] = stale + 1
            self._uncounted += 1
            return self._ask(current.candidate, now, is_last_resort=current.is_last_resort)
        if failure.kind == "blocked" and not current.is_last_resort and not self._is_committed:
            # Its breaker has opened since the decision: another one first, this one as the last resort.
            self._uncounted += 1
            self._untried.append(replace(current.candidate, standing=Standing(breaker="open", can_ask=False)))
            return self._next(now, failure)
        self._tried.append(Tried(upstream=upstream.id, failure=failure))
        self._failed_domains.add(upstream.failure_domain)
        meaning = disposition(failure.kind)
        if self._is_committed or meaning.next_step in {"return", "stop"}:
            return self._give_up(failure, now)
        if self._attempts - self._uncounted >= self._options.max_attempts:
            return self._give_up(failure, now)
        if meaning.next_step == "larger_context":
            self._keep_larger(upstream)
            return self._next(now, failure)
        again = self._again(current, failure, now)
        return self._next(now, failure) if again is None else again

    def _again(self, current: _Try, failure: Failure, now: float) -> Sequence[Command] | None:
        """Ask the same upstream once more, now or later; None where another should be asked."""
        candidate, upstream = current.candidate, current.candidate.upstream.id
        meaning = disposition(failure.kind)
        asked_again = self._asked_again.get(upstream, 0)
        may_ask_again = meaning.is_transient and asked_again < self._options.retry.same_upstream
        is_lone = len(self._options.candidates) == 1 and not current.is_last_resort
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

    def _next(self, now: float, failure: Failure | None) -> Sequence[Command]:
        """Ask the best upstream that was not asked yet; give up where there is none."""
        ready = [candidate for candidate in self._untried if candidate.is_ready_at(now)]
        askable = [each for each in self._untried if each in ready or each.standing.kind != "rate_limited"]
        elsewhere = [each for each in ready if each.upstream.failure_domain not in self._failed_domains]
        for pool in (elsewhere, ready, askable):
            if pool:
                return self._ask(pool[0], now, is_last_resort=pool[0] not in ready)
        return self._give_up(failure or self._blocked(now), now)

    def _blocked(self, now: float) -> Failure:
        if not self._options.candidates:
            return Failure(kind="blocked", message="there is no upstream to ask")
        soonest = min(self._untried, key=lambda each: each.standing.until or now)
        return _must_wait(soonest, now)

    def _keep_larger(self, failed: Upstream) -> None:
        """Forget upstreams whose context is known to be no larger than the one that was too small."""
        size = failed.capabilities.context_tokens
        kept = []
        for candidate in self._untried:
            other = candidate.upstream.capabilities.context_tokens
            if other is None or size is None or other > size:
                kept.append(candidate)
        self._untried = kept

    # -- small steps

    def _ask(self, candidate: Candidate, now: float, *, is_last_resort: bool) -> Sequence[Command]:
        if candidate in self._untried:
            self._untried.remove(candidate)
        self._attempts += 1
        attempt = AttemptId(self._attempts)
        watchdog = Watchdog(self._options.deadlines, stream=self._options.stream, now=now)
        self._current = _Try(attempt, candidate, watchdog, is_last_resort)
        return [Start(attempt, candidate.upstream, is_last_resort)]

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

    def _commit(self, current: _Try) -> Sequence[Command]:
        if self._is_committed:
            return ()
        self._is_committed = True
        return [Commit(current.attempt)]

    def _late(self, kind: FailureKind) -> Failure:
        limits = self._options.deadlines
        limit_s = {
            "connect_timeout": limits.connect_s,
            "headers_timeout": limits.headers_s,
            "first_token_timeout": limits.first_token_s,
            "answer_timeout": limits.answer_s,
            "stall": limits.stall_s,
        }[kind]
        what = {
            "connect_timeout": "no connection",
            "headers_timeout": "no response headers",
            "first_token_timeout": "no content token",
            "answer_timeout": "no answer",
            "stall": "no further content",
        }[kind]
        is_wish = kind in self._options.client_limits
        return Failure(kind=kind, message=f"{what} within {limit_s:g} s", is_clients_limit=is_wish)

    def _out_of_time(self, now: float) -> Sequence[Command]:
        message = f"no whole answer within {self._options.deadlines.total_s:g} s"
        failure = Failure(kind="total_timeout", message=message)
        cancels: list[Command] = []
        if self._current is not None:
            self._tried.append(Tried(upstream=self._current.candidate.upstream.id, failure=failure))
            cancels.append(Cancel(self._current.attempt, "lost", failure))
            self._current = None
        return [*cancels, *self._give_up(failure, now)]

    def _give_up(self, failure: Failure, now: float) -> Sequence[Command]:
        self._is_over = True
        return [self._fail(failure, now)]

    def _fail(self, failure: Failure, now: float) -> Fail:
        waiting = [each for each in self._untried if each.standing.kind == "rate_limited" and not each.is_ready_at(now)]
        return Fail(
            failure=failure,
            tried=tuple(self._tried),
            skipped=tuple(Tried(upstream=each.upstream.id, failure=_must_wait(each, now)) for each in waiting),
            is_committed=self._is_committed,
        )

    def _end(self, last: Fail | Abandon, reason: CancelReason) -> Sequence[Command]:
        self._is_over = True
        if self._current is None:
            return [last]
        return [Cancel(self._current.attempt, reason), last]


def _must_wait(candidate: Candidate, now: float) -> Failure:
    wait_s = max(0.0, (candidate.standing.until or now) - now)
    message = f"not asked: its rate limit ends in {wait_s:.1f} s"
    return Failure(kind="rate_limited", message=message, retry_after_s=wait_s)
