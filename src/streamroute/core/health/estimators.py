"""Sequential tests and small estimators; O(1) each. Evidence is in nats: ln of how much likelier trouble is than luck.

A sum of log-likelihood ratios that is reset at 0 (CUSUM, Page 1954) raises a false alarm at most once in exp(h) samples
where it alarms at h (Lorden 1971): a threshold is the logarithm of the samples in which one false alarm is accepted.
"""

from math import erfc, exp, log, sqrt

TAIL_SHARE = 0.012
"""Samples of a healthy upstream that are three to fifteen times as slow as usual, about 1 %, and a margin."""
TAIL_LN = log(20.0)
"""How far that tail reaches, evenly in ln(ratio)."""
SLOW_LNS = (log(2.0), log(4.0))
"""The slownesses that are looked for: twice and four times."""
SLOW_WIDTH = 0.35
SLOW_SHARE = 0.35
"""Of each of them; the rest of a slow upstream's answers is as slow as the tail, or never comes."""
REST_SHARE = 0.3
LEAST_LLR = -2.0
MOST_LLR = 4.0
"""One sample never decides alone."""
DRIFT_SHIFT = 1.1
"""The lasting shift, in spreads, that the second test looks for: about 1.5 times as slow. Of 1.0 to 1.6 all see a ramp
about as soon, for the evidence is in the samples, not in the choice."""
DRIFT_TAIL = 0.05
"""Of a drifting upstream's answers: far later still."""
DRIFT_LEAST, DRIFT_MOST = -3.0, 3.0
DRIFT_WAITING_MOST = 0.8
DRIFT_CREDIT = 0.3
MAX_RATIO = 1.6
"""Of evidence to its threshold that is kept: more would only delay the return."""
GOOD_SPREADS = 0.5
"""A sample is good up to so many spreads above the median: two in three are of an upstream that is well, one in four of
one that is half as slow again."""
EXONERATION = 0.6
"""What a good sample that follows a good one leaves of the evidence."""
CREDIT, MOST_CREDITS = 1.5, 16
"""Nats that a call under way may be owed by the ones that came before it: survivors alone look slow."""

_PHI = 1.0 / sqrt(2.0 * 3.141592653589793)
_SQRT_HALF = sqrt(0.5)


def slow_llr(ratio_ln: float, spread: float) -> float:
    """Return the evidence of one time that came: ln of its density when slow to that when well."""
    z = ratio_ln / spread
    tail = TAIL_SHARE / TAIL_LN if ratio_ln > 0.0 else 0.0
    well = (1.0 - TAIL_SHARE) * _PHI / spread * exp(-0.5 * z * z) + tail + 1e-9
    width = sqrt(spread * spread + SLOW_WIDTH * SLOW_WIDTH)
    first, second = (ratio_ln - SLOW_LNS[0]) / width, (ratio_ln - SLOW_LNS[1]) / width
    slow = SLOW_SHARE * _PHI / width * (exp(-0.5 * first * first) + exp(-0.5 * second * second))
    slow += REST_SHARE / TAIL_LN if ratio_ln > 0.0 else 0.0
    return min(max(log((slow + 1e-9) / well), LEAST_LLR), MOST_LLR)


def waiting_llr(ratio_ln: float, spread: float) -> float:
    """Return the evidence of one time that has not come after exp(`ratio_ln`) of the expected: the same, of survival.
    At least 0 (a young request tells nothing)."""
    if ratio_ln <= 0.0:
        return 0.0
    left = max(0.0, 1.0 - ratio_ln / TAIL_LN)
    well = (1.0 - TAIL_SHARE) * 0.5 * erfc(ratio_ln / spread * _SQRT_HALF) + TAIL_SHARE * max(left, 0.1)
    scale = _SQRT_HALF / sqrt(spread * spread + SLOW_WIDTH * SLOW_WIDTH)
    slow = erfc((ratio_ln - SLOW_LNS[0]) * scale) + erfc((ratio_ln - SLOW_LNS[1]) * scale)
    slow = SLOW_SHARE * 0.5 * slow + REST_SHARE
    return min(max(log(slow / well), 0.0), MOST_LLR)


def drift_llr(ratio_ln: float, spread: float) -> float:
    """Return the evidence of one time that came for a lasting shift by `DRIFT_SHIFT` spreads."""
    z = ratio_ln / spread
    shifted = z - DRIFT_SHIFT
    tail = spread / (_PHI * TAIL_LN) if ratio_ln > 0.0 else 0.0
    well = (1.0 - TAIL_SHARE) * exp(-0.5 * z * z) + TAIL_SHARE * tail + 1e-9
    drifted = (1.0 - DRIFT_TAIL) * exp(-0.5 * shifted * shifted) + DRIFT_TAIL * tail + 1e-9
    return min(max(log(drifted / well), DRIFT_LEAST), DRIFT_MOST)


def drift_waiting_llr(ratio_ln: float, spread: float) -> float:
    """Return the evidence of one time that has not come yet, of survival: small, and from the beginning on."""
    z = ratio_ln / spread
    if z < -2.5:
        return 0.0
    tail = max(0.1, 1.0 - ratio_ln / TAIL_LN) if ratio_ln > 0.0 else 1.0
    well = (1.0 - TAIL_SHARE) * 0.5 * erfc(z * _SQRT_HALF) + TAIL_SHARE * tail
    drifted = (1.0 - DRIFT_TAIL) * 0.5 * erfc((z - DRIFT_SHIFT) * _SQRT_HALF) + DRIFT_TAIL * tail
    return min(log(drifted / well), DRIFT_WAITING_MOST)


class SlownessTest:
    """Two CUSUMs over one stream of times: for twice as slow and more, quickly, and for a little slower, patiently."""

    __slots__ = ("drift", "good", "jump")

    def __init__(self) -> None:
        self.jump = 0.0
        self.drift = 0.0
        self.good = 0
        """Samples in a row that were no slower than usual."""

    def add(self, ratio_ln: float, spread: float, jump_limit: float, drift_limit: float, waiting: int = 0) -> None:
        """Take a time; evidence never exceeds `MAX_RATIO` limits, so that good samples can undo it.

        `waiting` calls are judged by their age besides: those that came soonest must weigh against them.
        """
        jump = self.jump + slow_llr(ratio_ln, spread)
        drift = self.drift + drift_llr(ratio_ln, spread)
        least = -CREDIT * min(waiting, MOST_CREDITS)
        self.jump = min(max(jump, least), MAX_RATIO * jump_limit)
        self.drift = min(max(drift, -DRIFT_CREDIT * min(waiting, MOST_CREDITS)), MAX_RATIO * drift_limit)
        self.good = self.good + 1 if ratio_ln < GOOD_SPREADS * spread else 0
        if self.good > 1 and self.jump > 0.0:
            self.jump *= EXONERATION

    def add_waited(self, ratio_ln: float, spread: float, jump_limit: float, drift_limit: float) -> None:
        """Take a time that was cut off: it would have been longer."""
        llr = waiting_llr(ratio_ln, spread)
        if llr > 0.0:
            self.good = 0
            self.jump = min(self.jump + llr, MAX_RATIO * jump_limit)
        self.drift = min(self.drift + drift_waiting_llr(ratio_ln, spread), MAX_RATIO * drift_limit)

    def scale(self, factor: float) -> None:
        """Let the evidence fade."""
        self.jump *= factor
        self.drift *= factor


ERROR_PRIOR_FAILED, ERROR_PRIOR_ALL = 0.4, 200.0
"""Of the Beta prior: one in 500, the error rate of hosted models on a good day."""
MIN_ERROR_RATE, MAX_ERROR_RATE = 0.002, 0.05
BAD_ERROR_RATE = 0.15
"""What the test looks for."""
SETTLING_S = 0.4
"""What began before a failure says nothing of what came after: for so long no success can weigh against it."""
_FORGIVEN = 0.05
"""Nats that are as good as none."""
_ERRORS_KEPT = 2000.0
"""Attempts after which the learned rate has forgotten half."""


class ErrorTest:
    """Bernoulli CUSUM of failures, with a base rate that is learned (Beta prior) while nothing is wrong: the first
    failures of a fault must not raise the rate that they are measured by."""

    __slots__ = ("_all", "_failed", "_new_all", "_new_failed", "nats")

    def __init__(self) -> None:
        self.nats = 0.0
        self._failed, self._all = ERROR_PRIOR_FAILED, ERROR_PRIOR_ALL
        self._new_failed = self._new_all = 0

    @property
    def rate(self) -> float:
        """The base rate."""
        return min(max(self._failed / self._all, MIN_ERROR_RATE), MAX_ERROR_RATE)

    @property
    def step(self) -> float:
        """What one failure adds."""
        rate = self.rate
        return log(max(BAD_ERROR_RATE, 4.0 * rate) / rate)

    def threshold(self, samples_per_hour: float, false_per_hour: float) -> float:
        """Return the evidence above which traffic moves: two failures with as few successes in between as chance gives
        less than `false_per_hour` times; three where even two in a row are more frequent than that."""
        rate, step = self.rate, self.step
        gap = 0.5 * false_per_hour / (rate * rate * samples_per_hour)
        if gap < max(0.5, SETTLING_S * samples_per_hour / 3600.0):
            return 2.9 * step
        return max(1.2 * step, 2.0 * step - self._relief() * gap - 0.02)

    def add(self, *, is_failure: bool, ceiling: float) -> None:
        """Take the end of an attempt."""
        self._new_failed += is_failure
        self._new_all += 1
        if is_failure:
            self.nats = min(self.nats + self.step, ceiling)
        else:
            self.nats = max(0.0, self.nats - self._relief())
        if self.nats < _FORGIVEN:
            self._learn()

    def _learn(self) -> None:
        """Take into the base rate what came since the last time that nothing was held against the upstream."""
        keep = max(0.0, 1.0 - self._new_all / _ERRORS_KEPT)
        self._failed = ERROR_PRIOR_FAILED * (1.0 - keep) + self._failed * keep + self._new_failed
        self._all = ERROR_PRIOR_ALL * (1.0 - keep) + self._all * keep + self._new_all
        self._new_failed = self._new_all = 0

    def _relief(self) -> float:
        rate = self.rate
        return log((1.0 - rate) / (1.0 - max(BAD_ERROR_RATE, 4.0 * rate)))


RATE_TAU_S = 300.0
MAX_RATE = 200.0
MIN_RATE = 1.0 / 120.0


class Rate:
    """How many events a second, over the last five minutes."""

    __slots__ = ("_at", "_began_at", "_sum")

    def __init__(self, now: float) -> None:
        self._began_at = self._at = now
        self._sum = 0.0

    def add(self, now: float, amount: float = 1.0) -> None:
        """Count."""
        if now > self._at:
            self._sum *= exp((self._at - now) / RATE_TAU_S)
            self._at = now
        self._sum += amount

    def per_s(self) -> float:
        """Return the rate as of the last event, `MIN_RATE`..`MAX_RATE`."""
        span = RATE_TAU_S * (1.0 - exp((self._began_at - self._at - 2.0) / RATE_TAU_S))
        return min(max(self._sum / span, MIN_RATE), MAX_RATE)


TREND_KEEP = 0.94
"""Of the past with every sample: the last 16 or so count."""
TREND_SAMPLES = 12
TREND_LEAST_LEVEL = 0.2
"""20 % slower at least: an upstream that grows slower from faster than usual is well."""


class Trend:
    """Level and slope of ln(ratio), by discounted least squares (Brown 1963), the regression form of Holt's method."""

    __slots__ = ("_at", "_n", "_st", "_stt", "_sty", "_sw", "_sy", "_syy", "level", "slope", "t_stat")

    def __init__(self) -> None:
        self._n = 0
        self._at = 0.0
        self._sw = self._st = self._sy = self._stt = self._sty = self._syy = 0.0
        self.level = self.slope = self.t_stat = 0.0

    def add(self, ratio_ln: float, now: float) -> None:
        """Take a residual, clipped by the caller."""
        back = self._at - now if self._n else 0.0
        keep, sw, st = TREND_KEEP, self._sw, self._st
        # Times are counted from the latest sample backwards: move them all by `back`.
        self._stt = keep * (self._stt + 2.0 * back * st + back * back * sw)
        self._sty = keep * (self._sty + back * self._sy) + 0.0
        self._st = keep * (st + back * sw)
        self._sw = keep * sw + 1.0
        self._sy = keep * self._sy + ratio_ln
        self._syy = keep * self._syy + ratio_ln * ratio_ln
        self._at = now
        self._n += 1
        sw, st, sy = self._sw, self._st, self._sy
        var_t = self._stt - st * st / sw
        mean = sy / sw
        if self._n < TREND_SAMPLES or var_t <= 1e-9:
            self.level, self.slope, self.t_stat = mean, 0.0, 0.0
            return
        cov = self._sty - st * sy / sw
        slope = cov / var_t
        rest = max(self._syy - sy * sy / sw - slope * cov, 1e-3 * sw)
        self.slope, self.level = slope, mean - slope * st / sw
        self.t_stat = slope * sqrt(var_t * (sw - 2.0) / rest)

    def breach_in_s(self, limit_ln: float) -> float | None:
        """Return the seconds until the level passes `limit_ln`, 0 where it has; None where it does not grow."""
        if self.level >= limit_ln:
            return 0.0
        return (limit_ln - self.level) / self.slope if self.slope > 0.0 else None
