"""The calls that a plan has under way: their numbers, their deadlines, and the commands that begin and end them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from streamroute.core.execution.commands import Cancel, Command, Start
from streamroute.core.execution.events import AttemptId
from streamroute.core.execution.hedge_delay import stall_limits, ttft_deadline_s
from streamroute.core.execution.watchdog import Watchdog
from streamroute.core.health.standing import Estimate
from streamroute.core.outcome import AttemptCause, CancelReason, Failure, FailureKind
from streamroute.core.routing.decision import Candidate
from streamroute.core.upstream import Deadlines, Rung


@dataclass(slots=True)
class AttemptCount:
    """The attempts of one request, over all plans that work on it."""

    started: int = 0
    not_made: int = 0
    """Of these: nothing was asked of anyone, so they do not count towards a limit."""

    def next(self) -> AttemptId:
        """Return the number of a further one."""
        self.started += 1
        return AttemptId(self.started)

    def has_reached(self, limit: int) -> bool:
        """No further one may be made."""
        return self.started - self.not_made >= limit


@dataclass(slots=True, eq=False)
class LiveCall:
    """One attempt that has not ended."""

    attempt: AttemptId
    candidate: Candidate
    cause: AttemptCause
    watchdog: Watchdog
    is_last_resort: bool = False
    rung: Rung | None = None
    """Of a continuation."""
    is_hurried: bool = False
    """Its first token has less time than the route gives, because another upstream may be quicker."""


class Calls:
    """Keeps the live calls of one request. Times are monotonic seconds."""

    def __init__(
        self,
        deadlines: Deadlines,
        *,
        stream: bool,
        max_attempts: int,
        client_limits: frozenset[FailureKind],
        attempts: AttemptCount | None = None,
    ) -> None:
        """`max_attempts`: over all `attempts`, which count others too where the request has other calls than these."""
        self._deadlines = deadlines
        self._stream = stream
        self._max_attempts = max_attempts
        self._client_limits = client_limits
        self._live: dict[AttemptId, LiveCall] = {}
        self._attempts = AttemptCount() if attempts is None else attempts
        self._has_begun = False

    def __iter__(self) -> Iterator[LiveCall]:
        return iter(list(self._live.values()))

    def __contains__(self, call: LiveCall) -> bool:
        return call.attempt in self._live

    def of(self, attempt: AttemptId) -> LiveCall | None:
        """Return the call, None where it has ended."""
        return self._live.get(attempt)

    @property
    def has_begun(self) -> bool:
        """Some call was made."""
        return self._has_begun

    @property
    def is_exhausted(self) -> bool:
        """No further call may be made for this request."""
        return self._attempts.has_reached(self._max_attempts)

    @property
    def is_anyone_asked(self) -> bool:
        """A call is under way that may answer the request, probes left out."""
        return any(call.cause != "probe" for call in self._live.values())

    def due(self) -> float:
        """Return when the first of the deadlines runs out, infinity without any."""
        return min((call.watchdog.due for call in self._live.values()), default=math.inf)

    def start(
        self,
        candidate: Candidate,
        now: float,
        *,
        cause: AttemptCause,
        is_last_resort: bool = False,
        rung: Rung | None = None,
        is_last: bool = False,
    ) -> Start:
        """Begin a call. `is_last`: nothing better is left, so it has all the time that the route gives."""
        self._has_begun = True
        attempt = self._attempts.next()
        limits = deadlines_of(candidate.estimate, self._deadlines, is_last=is_last)
        soft_stall_s, _ = stall_limits(candidate.estimate, limits.stall_s)
        watchdog = Watchdog(limits, stream=self._stream, now=now, soft_stall_s=soft_stall_s)
        is_hurried = limits.first_token_s < self._deadlines.first_token_s
        self._live[attempt] = LiveCall(attempt, candidate, cause, watchdog, is_last_resort, rung, is_hurried)
        return Start(attempt, candidate.upstream, is_last_resort, cause, rung, limits)

    def be_patient(self, call: LiveCall) -> None:
        """Give a stream that nobody could carry on the silence that the route allows."""
        call.watchdog.allow_stall(self._deadlines.stall_s)

    def not_made(self) -> None:
        """Note that a call was not made after all: it does not count."""
        self._attempts.not_made += 1

    def ended(self, call: LiveCall) -> None:
        """Note that a call is over."""
        self._live.pop(call.attempt, None)

    def cancel(self, call: LiveCall, reason: CancelReason, failure: Failure | None = None) -> Command:
        """End a call, because it was too late where `failure` says so."""
        self.ended(call)
        return Cancel(call.attempt, reason, failure)

    def cancel_all(self, reason: CancelReason, failure: Failure | None = None) -> list[Command]:
        """End every call that is left; a probe is not at fault for a `failure`."""
        return [self.cancel(call, reason, None if call.cause == "probe" else failure) for call in self]

    def late(self, call: LiveCall, now: float) -> Failure:
        """Put into words that a call took too long."""
        failure = call.watchdog.failure(now)
        return replace(failure, is_clients_limit=failure.kind in self._client_limits)


def deadlines_of(estimate: Estimate, configured: Deadlines, *, is_last: bool = False) -> Deadlines:
    """Return the deadlines of one call: live percentiles of its upstream, capped by what is configured.

    `is_last`: nobody else is left, so it has all the time for a first token that the route gives.
    """
    _, stall_s = stall_limits(estimate, configured.stall_s)
    first_token_s = configured.first_token_s if is_last else ttft_deadline_s(estimate, configured.first_token_s)
    return replace(configured, first_token_s=first_token_s, stall_s=stall_s)
