"""One upstream: its calls under way, its baselines, the evidence against it, its breaker, and figures for people.

What moves what:

- a first token: a time to first token, at once and not at the stream's end; proof for a breaker on its way back;
- an end: a failure that counts or a success; the pace of a stream; for one without a first token, its age at least,
  also where it was cancelled or ran into a limit of the client's;
- nothing at all while the trouble is our own.
"""

from collections import deque
from collections.abc import Callable
from math import exp, log

from streamroute.core.health.breaker import Breaker, Permit
from streamroute.core.health.classify import disposition
from streamroute.core.health.degradation import NO_VERDICT, SLOW_RATIO, STEER_NATS, SUSPECT_RATIO, Evidence, Verdict
from streamroute.core.health.figures import RECENT_ATTEMPTS, RECENT_ERRORS, HealthFigures, RecentError, quantile
from streamroute.core.health.headroom import LearnedLimit
from streamroute.core.health.in_flight import HUNG_CALLS, NOTHING, Flight, judge, prepare
from streamroute.core.health.options import HealthOptions
from streamroute.core.health.pace import Pace, pace_ln
from streamroute.core.health.scorecard import Scorecard
from streamroute.core.health.sketch import ln_of
from streamroute.core.health.standing import StandingKind
from streamroute.core.health.ttft import Baseline, Norm, size_of
from streamroute.core.observation import AttemptObservation

__all__ = ["RECENT_ATTEMPTS", "RECENT_ERRORS", "HealthFigures", "RecentError", "UpstreamHealth", "quantile"]

DEFAULTS = HealthOptions()
MIN_CONNECT_S = 0.001
"""Shorter ones were taken from the pool: nothing was connected."""
CONNECT_SPREAD = 0.5
EXPECTED_LATE_LN = log(2.0)
"""A first token that was given up sooner, because the route's limit is shorter than so long a prompt takes, is no
failure of the upstream's."""
MOST_EXCUSED = 3
"""In a row, without a first token in between: more of them hang."""
PROBE_LATE_LN = log(3.0)
"""A cancelled probe that was this many times later than expected has failed."""

CHECKED_FOR_S = 5.0
"""How long after a failure calls go beside requests instead of being them; an upstream nobody asks waits no longer."""
_NEVER = float("-inf")
_OVERLOADED = 529
"""Anthropic's status for too many calls at once."""


class UpstreamHealth:
    """What is known of one upstream. Times are monotonic seconds."""

    __slots__ = (
        "_attempts", "_cancelled", "_changed_at", "_changes", "_check", "_connects", "_errors", "_excused", "_failed",
        "_heard_at", "_in_flight", "_last_success_at", "_looked", "_outcomes", "_succeeded", "_ttfts_s", "_waiting",
        "_weighed", "auth_until", "baseline", "breaker", "evidence", "limit", "pace", "scorecard", "verdict",
    )  # fmt: skip

    def __init__(self, uniform: Callable[[], float], now: float, options: HealthOptions = DEFAULTS) -> None:
        self.breaker = Breaker(uniform, now)
        self.baseline = Baseline()
        self.pace = Pace()
        self._connects = Norm(min_spread=CONNECT_SPREAD)
        self.evidence = Evidence(now, slo_factor=options.slo_factor, false_per_hour=options.false_steers_per_hour)
        self.scorecard = Scorecard()
        self.limit = LearnedLimit()
        self.verdict: Verdict = NO_VERDICT
        """As of the last look."""
        self.auth_until = _NEVER
        self._waiting: dict[Flight, None] = {}
        """Streams without a first token, in the order of their start."""
        self._heard_at = now
        self._excused = 0
        self._changed_at = now
        self._changes = 0
        self._looked: tuple[float, int, float, float] | None = None
        """When the verdict was made, and from what."""
        self._weighed = -1
        """After how many changes, where it depends on nothing else: it holds until the next one."""
        self._check: Permit | None = None
        self._in_flight = 0
        self._attempts = self._succeeded = self._failed = self._cancelled = 0
        self._outcomes: deque[bool] = deque(maxlen=RECENT_ATTEMPTS)
        self._ttfts_s: deque[float] = deque(maxlen=RECENT_ATTEMPTS)
        self._errors: deque[RecentError] = deque(maxlen=RECENT_ERRORS)
        self._last_success_at: float | None = None

    def apply(self, options: HealthOptions, now: float) -> None:
        """Judge by new options; what was learned stays, and a rejected credential is tried again."""
        self.evidence.judge_by(options.slo_factor, options.false_steers_per_hour)
        self._changes += 1
        if now < self.auth_until:
            self.auth_until = now
            self.breaker.unblock(now)

    @property
    def is_idle(self) -> bool:
        """Nothing is in flight."""
        return self._in_flight == 0

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._in_flight

    def wants_check(self, now: float) -> bool:
        """Return whether it has just failed, so that it should be tried beside requests before it is trusted again:
        whether that was luck or the beginning of an outage is known after one more call."""
        evidence = self.evidence
        if not evidence.in_a_row or self.breaker.state != "closed":
            return False
        return evidence.last_failure_at is not None and now - evidence.last_failure_at <= CHECKED_FOR_S

    @property
    def is_checked(self) -> bool:
        """Such a call is under way."""
        return self._check is not None

    # -- what happens to calls

    def started(self, permit: Permit, now: float, *, prompt_tokens: int = 0, is_stream: bool = True) -> None:
        """Count an attempt in flight; `ended` or `abandoned` must follow."""
        self._in_flight += 1
        self._changes += 1
        if self.evidence.in_a_row and self._check is None and self.wants_check(now):
            self._check = permit
        flight = permit.flight = prepare(self.baseline, size_of(prompt_tokens), now, is_stream=is_stream)
        if is_stream:
            self._waiting[flight] = None

    def abandoned(self, permit: Permit, now: float) -> None:
        """Forget an attempt that was counted as started and never made."""
        self._in_flight -= 1
        self._changes += 1
        if permit is self._check:
            self._check = None
        flight, permit.flight = permit.flight, None
        if flight is not None:
            self._waiting.pop(flight, None)
        self.breaker.settle(permit, now, None)

    def first_token(self, permit: Permit, now: float, trouble_until: float) -> None:
        """Learn that a stream's first content token has come. Idempotent."""
        flight = permit.flight
        if permit is self._check:
            self.evidence.in_a_row = 0
            self._check = None
        if flight is not None and not flight.has_token:
            self._timed(flight, permit, now - flight.started_at, now, trouble_until)

    def ended(self, permit: Permit, observation: AttemptObservation, trouble_until: float = float("-inf")) -> None:
        """Learn from an attempt that is over, however it ended; nothing is held against anyone before
        `trouble_until`."""
        now = observation.ended_at
        self._in_flight -= 1
        self._attempts += 1
        self._changes += 1
        if permit is self._check:
            self._check = None
        flight, permit.flight = permit.flight, None
        if flight is None:
            flight = prepare(self.baseline, size_of(0), now - observation.duration_s, is_stream=observation.stream)
        is_ours = now < trouble_until or flight.started_at < trouble_until
        if observation.ttft_s is not None:
            self._ttfts_s.append(observation.ttft_s)
            if observation.stream and not flight.has_token:
                self._timed(flight, permit, observation.ttft_s, now, trouble_until)
        late_ln = 0.0
        if not flight.has_token:
            self._waiting.pop(flight, None)
            if flight.is_stream and not is_ours:
                late_ln = self._late_ln(flight, observation)
        if not is_ours:
            self._paced(observation, now)
        if observation.outcome == "succeeded":
            self._well(permit, flight, now, is_stream=observation.stream)
        elif observation.outcome == "cancelled" or observation.failure is None:
            self._cancelled += 1
            self.breaker.settle(permit, now, "failure" if permit.is_probe and late_ln > PROBE_LATE_LN else None)
        else:
            is_timeout = observation.failure.kind == "first_token_timeout" and not self.baseline.is_cold
            is_in_time = is_timeout and late_ln < EXPECTED_LATE_LN and self._excused < MOST_EXCUSED
            self._excused += is_in_time
            self._failed_with(permit, observation, now, is_excused=is_ours or is_in_time)

    def _late_ln(self, flight: Flight, observation: AttemptObservation) -> float:
        """Learn from a stream that ended before its first token; returns ln(age / expected)."""
        late_ln = ln_of(observation.duration_s) - flight.expected_ln
        if late_ln > 0.0:
            self.evidence.fresh(observation.ended_at)
            self._ttfts_s.append(observation.duration_s)  # at least; without these, percentiles are the survivors'
        self.evidence.waited(late_ln, flight.spread)
        return late_ln

    def _well(self, permit: Permit, flight: Flight, now: float, *, is_stream: bool) -> None:
        self._succeeded += 1
        self._outcomes.append(True)
        self._last_success_at = now
        self.auth_until = _NEVER
        failed_at = self.evidence.last_failure_at
        if failed_at is None or flight.started_at > failed_at:  # older streams end well in an outage, too
            self.evidence.succeeded()
        self.limit.succeeded(now)
        if not is_stream:
            self._heard(permit, now, is_healthy=True)
            self.evidence.fresh(now)
        self.breaker.settle(permit, now, "success")

    def _failed_with(self, permit: Permit, observation: AttemptObservation, now: float, *, is_excused: bool) -> None:
        failure = observation.failure
        assert failure is not None  # noqa: S101 - the caller has looked
        self._failed += 1
        meaning = disposition(failure.kind)
        self._errors.appendleft(
            RecentError(ended_at=now, kind=failure.kind, message=failure.message, http_status=failure.http_status)
        )
        if failure.kind == "rate_limited" or failure.http_status == _OVERLOADED:  # a 503 may be an outage
            self.limit.refused(now, self._in_flight + 1)
        counts = meaning.counts and not failure.is_clients_limit and not is_excused
        must_open = False
        if counts:
            self._outcomes.append(False)
            self.evidence.fresh(now)
            must_open = self.evidence.failed(now)
            self.scorecard.breached(now)
        is_probes_refusal = permit.is_probe and failure.kind == "rate_limited"
        self.breaker.settle(permit, now, "failure" if counts or is_probes_refusal else None)
        if meaning.blocks_for_s is not None:
            self.breaker.block(now, meaning.blocks_for_s, failure.kind)
            self.auth_until = now + meaning.blocks_for_s
        elif must_open and self.breaker.state in {"closed", "ramping"}:
            self.breaker.trip(now, "failures close together")

    def connected(self, permit: Permit, now: float, trouble_until: float) -> None:
        """Learn that a call has its connection."""
        flight = permit.flight
        if flight is None or flight.started_at < trouble_until or now - flight.started_at < MIN_CONNECT_S:
            return
        value = ln_of(now - flight.started_at)
        norm, evidence = self._connects, self.evidence
        is_cold = norm.is_cold
        if not is_cold:
            self._changes += 1
            evidence.connected(value - norm.level - norm.doubt, norm.predicted_spread)
        if is_cold or not evidence.is_connect_frozen:
            norm.take(value, now)

    def forgive(self) -> None:
        """Forget what was held against it, whatever it was: an operator knows better."""
        self.evidence.clear()
        self.auth_until = float("-inf")
        self._changes += 1

    def unblame(self) -> None:
        """Take back what was held against it: the trouble was ours."""
        self.evidence.errors.clear()
        self.evidence.in_a_row = 0
        self._changes += 1

    # -- what is thought of it

    def look(self, now: float, trouble_until: float = float("-inf"), echo: float = 0.0) -> Verdict:
        """Weigh what is known at `now`. Opens the breaker where calls hang."""
        looked = (now, self._changes, trouble_until, echo)
        if looked == self._looked:
            return self.verdict
        self._looked = looked
        breaker = self.breaker
        if breaker.changed_at != self._changed_at:
            self._changed_at = breaker.changed_at
            if breaker.state in {"open", "half_open"}:
                self._waiting.clear()  # of an older generation: they have been judged
        evidence, waiting = self.evidence, NOTHING
        has_faded = evidence.fade(now)
        if self._waiting and now >= trouble_until:
            waiting = judge(self._waiting, now, trouble_until, self._heard_at)
            if waiting.hung >= HUNG_CALLS and breaker.state in {"closed", "ramping"}:
                self.scorecard.breached(now)
                breaker.trip(now, f"{waiting.hung} requests hang")
        is_lasting = waiting is NOTHING and not echo
        if has_faded or not is_lasting or self._weighed != self._changes:
            self.verdict = evidence.weigh(waiting, misses_objective=self._misses_objective, echo=echo)
            self._weighed = self._changes if is_lasting else -1
        verdict, scorecard = self.verdict, self.scorecard
        is_steered = verdict.penalty > STEER_NATS or breaker.state == "open"
        if is_steered is not scorecard.is_steered or scorecard.pending_at is not None:
            scorecard.steered(now, is_steered=is_steered)
        return verdict

    def kind(self, verdict: Verdict, now: float) -> StandingKind:
        """Return how it stands, its credential's rate limit left out."""
        if now < self.auth_until and self.breaker.state == "open":
            return "auth_failed"
        if verdict.is_slowness and verdict.ratio >= SLOW_RATIO and self._heard_at > self._quiet_since(now):
            return "slow"
        return "suspect" if verdict.ratio >= SUSPECT_RATIO else "healthy"

    def figures(self) -> HealthFigures:
        """Return the figures as they stood at the last look."""
        ttfts_s = sorted(self._ttfts_s)
        outcomes, verdict, evidence = self._outcomes, self.verdict, self.evidence
        return HealthFigures(
            in_flight=self._in_flight,
            attempts=self._attempts,
            succeeded=self._succeeded,
            failed=self._failed,
            cancelled=self._cancelled,
            error_ratio=1 - sum(outcomes) / len(outcomes) if outcomes else None,
            ttft_p50_s=quantile(ttfts_s, 0.5),
            ttft_p95_s=quantile(ttfts_s, 0.95),
            ttft_p99_s=quantile(ttfts_s, 0.99),
            tpot_p50_s=self.pace.tpot_s,
            last_success_at=self._last_success_at,
            recent_errors=tuple(self._errors),
            risk=1.0 if self.breaker.state == "open" else 1.0 - exp(-verdict.penalty),
            reason=self.breaker.reason if self.breaker.state != "closed" else verdict.reason,
            slowness_nats=max(evidence.slow.jump, evidence.slow.drift),
            decode_nats=max(evidence.decode.jump, evidence.decode.drift),
            error_nats=evidence.errors.nats,
            waiting_nats=verdict.waiting.nats,
            threshold_nats=evidence.threshold,
            trend_per_s=evidence.trend.slope,
            breach_in_s=verdict.breach_in_s,
            normal_ttft_s=exp(self.baseline.level) if self.baseline.count else None,
            changed_at=self.breaker.changed_at,
            next_probe_at=self.breaker.reopens_at,
            score=self.scorecard.score(),
        )

    @property
    def _misses_objective(self) -> bool:
        before = self.baseline.rebased_from
        return before is not None and self.baseline.level > before + self.evidence.slo_ln

    def _quiet_since(self, now: float) -> float:
        return now - 10.0 * exp(self.baseline.level)

    def _timed(self, flight: Flight, permit: Permit, ttft_s: float, now: float, trouble_until: float) -> None:
        flight.has_token = True
        self._changes += 1
        self._waiting.pop(flight, None)
        if now < trouble_until or flight.started_at < trouble_until:
            self._heard(permit, now, is_healthy=True)
            return
        base, evidence, size = self.baseline, self.evidence, flight.size
        value = ln_of(ttft_s)
        ratio_ln = value - base.expected_ln(size)
        is_cold = base.is_cold
        if self.breaker.state != "closed" or self._excused:
            self._heard(permit, now, is_healthy=is_cold or ratio_ln < evidence.slo_ln)
        self._heard_at = now
        evidence.fresh(now)
        if is_cold:
            base.learn(value, size, now)
            return
        doubt, spread = base.uncertainty_at(size)
        evidence.timed(ratio_ln - doubt, spread, now, len(self._waiting))
        if ratio_ln > evidence.slo_ln:
            self.scorecard.breached(now)
        if not (evidence.is_alarmed if base.is_young else evidence.is_frozen):
            base.learn(value, size, now)
        elif base.endure(value, size, now):
            evidence.clear()

    def _heard(self, permit: Permit, now: float, *, is_healthy: bool) -> None:
        """Note that an answer began."""
        self._heard_at = now
        self._excused = 0
        if is_healthy and self.breaker.state != "closed":
            was = self.breaker.state
            self.breaker.proved(permit, now)
            if was != "ramping" and permit.is_proved:
                self.evidence.clear()

    def _paced(self, observation: AttemptObservation, now: float) -> None:
        value = pace_ln(observation)
        if value is None:
            return
        pace, evidence = self.pace, self.evidence
        if not pace.is_cold:
            evidence.paced(value - pace.level - pace.doubt, pace.predicted_spread)
        if not evidence.is_frozen:
            pace.take(value, now)
            if observation.max_gap_s is not None and observation.outcome == "succeeded":
                pace.gap(observation.max_gap_s, now)
        elif pace.take_frozen(value, now):
            evidence.clear()
