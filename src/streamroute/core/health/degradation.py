"""All evidence against one upstream, weighed: what it is worth in weight, and what to say about it.

Every kind of evidence is divided by its own threshold; the strongest decides. At a ratio of 1 traffic moves away. The
threshold follows from how many samples an hour there are and how many false alarms an hour are accepted.
"""

from dataclasses import dataclass
from math import exp, log

from streamroute.core.clamp import clamp
from streamroute.core.health.estimators import EXONERATION, ErrorTest, Rate, SlownessTest, Trend
from streamroute.core.health.in_flight import NOTHING, Waiting

STEER_NATS = 2.303
"""A weight of less than a tenth: steered away from."""
DOUBT_NATS = 0.5
"""What evidence takes off a weight just before an alarm: some of the traffic of a balanced route goes elsewhere, and a
preferred upstream keeps its place (`core.routing.ranking` yields below a quarter, its slowness included)."""
SUSPECT_RATIO = 0.7
SLOW_RATIO = 1.2
MIN_THRESHOLD, MAX_THRESHOLD = 6.5, 15.0
"""Of slowness, in nats: never less than two of the strongest samples, never more than four."""
THRESHOLD_MARGIN = 0.2
"""CUSUMs alarm far more rarely than Lorden's bound; several of them and the calls under way take more than that.
Chosen by `bench/failover.py --scenario none`: 0.5 gave 3.6 false alarms an hour where 1 is accepted."""
DRIFT_MARGIN = 1.5
MIN_DRIFT_THRESHOLD, MAX_DRIFT_THRESHOLD = 6.0, 13.0
THRESHOLDS_EVERY = 8
"""Samples between two looks at their rate: it is one of minutes, and logarithms take their time."""
QUIET_S = 2.0
HALF_LIFE_S = 10.0
"""Evidence fades with this half-life once nothing fresh came for `QUIET_S`: an upstream that gets no traffic cannot
prove that it is well again."""
MAX_QUIET_S, MAX_HALF_LIFE_S = 60.0, 120.0
"""At low traffic both grow with the usual time between samples."""
PRE_STEER_S = 30.0
"""A breach that the trend predicts within this time counts."""
TREND_MARGIN = 2.0
CONNECT_SHARE = 0.6
"""Slow connections alone make nobody suspect."""
OBJECTIVE_NATS = 1.2
"""Off the weight of an upstream whose new normal misses the latency objective."""
CALM_RATIO = 0.7
"""An alarm ends here: evidence that goes up and down around the threshold must not send traffic to and fro."""
FROZEN_RATIO = 0.4
"""Baselines learn nothing above this."""
LONELY_RATIO, LONELY_NATS = 0.4, 1.3
"""A first failure in a long time is as good as always luck, but it costs nothing to let three in four go elsewhere for
a moment; a preferred upstream keeps its place (`core.routing.ranking` yields below a quarter)."""
OPEN_FAILURES = 3
"""In a row. Failures between successes move traffic away (CUSUM), but open nothing: an upstream that fails now and then
would be closed again by its first successes, and forget what was held against it."""
ROW_S = 300.0
"""Failures further apart are not in a row."""


@dataclass(slots=True)
class Verdict:
    """What is held against an upstream at one moment. Not frozen, for speed: nobody changes one."""

    ratio: float = 0.0
    """Evidence over its threshold."""
    reason: str = ""
    is_slowness: bool = False
    penalty: float = 0.0
    waiting: Waiting = NOTHING
    breach_in_s: float | None = None
    """When the trend misses the latency objective; None where it does not point there."""
    is_echo: bool = False
    """The strongest evidence is lent by siblings."""


NO_VERDICT = Verdict()


FADE_STEP_S = 0.02
"""Evidence fades in steps so long: half-lives are ten seconds and more, so it is off by two thousandths at most, and
weighing all upstreams anew for each of a thousand decisions a second took a tenth of their time."""


class Evidence:
    """Everything that is known against one upstream. Times are monotonic seconds."""

    __slots__ = (
        "_fresh_at", "_fresh_count", "_quiet_s", "_still_until", "connect", "decode", "drift_threshold", "errors",
        "false_per_hour", "in_a_row", "is_alarmed", "last_failure_at", "rate", "slo_ln", "slow", "speed_ln",
        "threshold", "trend",
    )  # fmt: skip

    def __init__(self, now: float, *, slo_factor: float, false_per_hour: float) -> None:
        self.slow, self.decode, self.connect = SlownessTest(), SlownessTest(), SlownessTest()
        self.errors = ErrorTest()
        self.trend = Trend()
        self.rate = Rate(now)
        self._fresh_count = 0
        self.judge_by(slo_factor, false_per_hour)
        self.in_a_row = 0
        self.is_alarmed = False
        """Traffic is kept away, until the evidence is well below the threshold again."""
        self.last_failure_at: float | None = None
        self.speed_ln = 0.0
        """ln of how much slower than normal the last few samples were."""
        self._fresh_at = now
        self._still_until = now + MAX_QUIET_S
        """Until then nothing fades; afterwards, when it last did."""

    def judge_by(self, slo_factor: float, false_per_hour: float) -> None:
        """Take the objective (times the normal) and the false alarms an hour that are accepted."""
        self.slo_ln = log(slo_factor)
        self.false_per_hour = false_per_hour
        self._set_thresholds()

    def fresh(self, now: float) -> None:
        """Note that a sample came; call it before the sample is added."""
        if now > self._still_until:
            self.fade(now)
        self._fresh_at = now
        self.rate.add(now)
        self._fresh_count += 1
        if self._fresh_count % THRESHOLDS_EVERY == 1:
            self._set_thresholds()
        self._still_until = now + self._quiet_s

    def _set_thresholds(self) -> None:
        """Take the rate of samples into account."""
        per_s = self.rate.per_s()
        samples = 3600.0 * per_s / self.false_per_hour
        bound = log(samples) if samples > 1.0 else 0.0
        self.threshold = clamp(bound - THRESHOLD_MARGIN, MIN_THRESHOLD, MAX_THRESHOLD)
        self.drift_threshold = clamp(bound - DRIFT_MARGIN, MIN_DRIFT_THRESHOLD, MAX_DRIFT_THRESHOLD)
        self._quiet_s = clamp(2.0 / per_s, QUIET_S, MAX_QUIET_S)

    def fade(self, now: float) -> bool:
        """Let old evidence fade; False where a verdict does not change by it: it is not old, or there is none."""
        if now <= self._still_until + FADE_STEP_S:
            return False
        interval_s = 1.0 / self.rate.per_s()
        factor = 2.0 ** ((self._still_until - now) / clamp(3.0 * interval_s, HALF_LIFE_S, MAX_HALF_LIFE_S))
        self._still_until = now
        self.speed_ln *= factor
        has_faded = self.errors.nats > 0.0
        self.errors.nats *= factor
        for test in (self.slow, self.decode, self.connect):
            if test.jump or test.drift:
                test.scale(factor)
                has_faded = True
        if self.trend.count and now - self._fresh_at > 3.0 * clamp(2.0 * interval_s, QUIET_S, MAX_QUIET_S):
            self.trend = Trend()
            has_faded = True
        return has_faded

    def timed(self, ratio_ln: float, spread: float, now: float, waiting: int = 0) -> None:
        """Take a time to first token."""
        self.slow.add(ratio_ln, spread, self.threshold, self.drift_threshold, waiting)
        if self.is_alarmed and self.slow.good > 2 and self.slow.drift > 0.0:
            self.slow.drift *= EXONERATION  # only on the way back: on the way there good ones are too frequent
        low, high = -2.0 * spread, 2.0 * spread + self.slo_ln
        clipped = low if ratio_ln < low else min(ratio_ln, high)
        self.trend.add(clipped, now)
        self.speed_ln += 0.3 * (clipped - self.speed_ln)

    def waited(self, ratio_ln: float, spread: float) -> None:
        """Take a time to first token that was cut off."""
        self.slow.add_waited(ratio_ln, spread, self.threshold, self.drift_threshold)

    def paced(self, ratio_ln: float, spread: float) -> None:
        """Take the pace of a stream."""
        self.decode.add(ratio_ln, spread, self.threshold, self.drift_threshold)

    def connected(self, ratio_ln: float, spread: float) -> None:
        """Take a time to connect."""
        self.connect.add(ratio_ln, spread, self.threshold, self.drift_threshold)

    @property
    def is_connect_frozen(self) -> bool:
        """Times to connect must not move their baseline now."""
        return self.connect.ratio(self.threshold, self.drift_threshold) > 0.5

    def failed(self, now: float) -> bool:
        """Take a failure that counts; True where the breaker should open."""
        is_row = self.last_failure_at is not None and now - self.last_failure_at <= ROW_S
        self.in_a_row = self.in_a_row + 1 if is_row else 1
        self.last_failure_at = now
        errors = self.errors
        limit = self.error_threshold()
        errors.add(is_failure=True, ceiling=3.2 * errors.step)
        if self.in_a_row > 1 and limit <= 2.0 * errors.step:
            errors.nats = max(errors.nats, 1.01 * limit)
        return self.in_a_row >= OPEN_FAILURES

    def succeeded(self) -> None:
        """Take a success of a call that began after the last failure."""
        self.in_a_row = 0
        self.errors.add(is_failure=False, ceiling=0.0)

    def clear(self) -> None:
        """Forget what was held against it, not what is normal."""
        self.slow, self.decode, self.connect = SlownessTest(), SlownessTest(), SlownessTest()
        self.trend = Trend()
        self.errors.clear()
        self.in_a_row = 0
        self.is_alarmed = False
        self.speed_ln = 0.0

    def error_threshold(self) -> float:
        """Return the evidence of errors above which traffic moves."""
        return self.errors.threshold(3600.0 * self.rate.per_s(), self.false_per_hour)

    @property
    def is_frozen(self) -> bool:
        """Samples must not move the baselines now."""
        jump, drift = FROZEN_RATIO * self.threshold, FROZEN_RATIO * self.drift_threshold
        slow, decode = self.slow, self.decode
        return slow.jump > jump or slow.drift > drift or decode.jump > jump or decode.drift > drift

    def weigh(self, waiting: Waiting, *, misses_objective: bool = False, echo: float = 0.0) -> Verdict:
        """Return the verdict, `fade` having been called. `echo` is a ratio that neighbours lend."""
        limits = self.threshold, self.drift_threshold
        ratio, reason, is_slowness = self.slow.ratio(*limits, waiting.nats, waiting.drift_nats), "", False
        if ratio > 0.0:
            is_slowness = True
            reason = "no first token for long" if waiting.nats > self.slow.jump else "slower than normal"
        if self.errors.nats > 0.0:
            errors = self.errors.nats / self.error_threshold()
            if errors > ratio:
                ratio, reason, is_slowness = errors, "errors", False
        decode = self.decode.ratio(*limits)
        if decode > ratio:
            ratio, reason, is_slowness = decode, "slow tokens", True
        if self.connect.jump > 0.0 or self.connect.drift > 0.0:
            connect = min(self.connect.ratio(*limits), 1.0) * CONNECT_SHARE
            if connect > ratio:
                ratio, reason = connect, "slow connections"
        breach_in_s = self._breach_in_s()
        if breach_in_s is not None and breach_in_s < PRE_STEER_S and ratio < 1.0:
            ratio, reason, is_slowness = 1.01, "growing slower", True
        is_echo = echo > ratio
        if is_echo:
            ratio, reason = echo, "its failure domain is in trouble"
        self.is_alarmed = ratio >= (CALM_RATIO if self.is_alarmed else 1.0)
        if not ratio and not misses_objective and breach_in_s is None and waiting is NOTHING:
            return NO_VERDICT  # every second look
        penalty = penalty_of(max(ratio, 1.0) if self.is_alarmed else ratio)
        if reason == "errors" and ratio > LONELY_RATIO:
            penalty = max(penalty, LONELY_NATS)
        if misses_objective:
            penalty += OBJECTIVE_NATS
            reason = reason or "its normal misses the latency objective"
        return Verdict(
            ratio,
            reason if ratio >= 0.5 or misses_objective else "",
            is_slowness,
            penalty,
            waiting,
            breach_in_s,
            is_echo,
        )

    def _breach_in_s(self) -> float | None:
        """Return the seconds until the trend misses the objective; None where it is not sure to."""
        t_stat = self.trend.t_stat
        if t_stat <= 0.0:
            return None
        wanted = (2.0 * (log(max(3600.0 * self.rate.per_s() / self.false_per_hour, 3.0)) + TREND_MARGIN)) ** 0.5
        return self.trend.breach_in_s(self.slo_ln) if t_stat > wanted else None


def penalty_of(ratio: float) -> float:
    """Return the nats that evidence takes off a weight: 0 up to half the threshold, `STEER_NATS` at it, more beyond."""
    if ratio <= 0.5:
        return 0.0
    if ratio < 1.0:
        return DOUBT_NATS * ((ratio - 0.5) / 0.5) ** 2
    return STEER_NATS + 1e-3 + 5.0 * (ratio - 1.0)


def risk_of(penalty: float) -> float:
    """Return 0..1: the share of its weight that is gone."""
    return 1.0 - exp(-penalty)
