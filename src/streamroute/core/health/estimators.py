"""Sequential tests and small estimators; O(1) each. Evidence is in nats: ln of how much likelier trouble is than luck.

A sum of log-likelihood ratios that is reset at 0 (CUSUM, Page 1954) raises a false alarm at most once in exp(h) samples
where it alarms at h (Lorden 1971): a threshold is the logarithm of the samples in which one false alarm is accepted.
"""

from math import erfc, exp, log, sqrt

from streamroute.core.clamp import clamp

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
"""The lasting shift, in spreads, that the second test looks for: about 1.5 times as slow. From 0.8 to 1.6 all see a
ramp equally soon, for the evidence is in the samples."""
DRIFT_REFERENCE = 0.5 * DRIFT_SHIFT
CLIP = 2.0
"""Residuals count up to two spreads in that test, which is what a heavy tail leaves of larger ones."""
DRIFT_TAIL = 0.05
"""Of a drifting upstream's answers: far later still."""
DRIFT_WAITING_MOST = 0.8
"""One call under way never decides about a drift; that it hangs is the other test's to say."""
DRIFT_CREDIT = 0.3
"""As `CREDIT`, in that test."""
MAX_RATIO = 1.6
"""Of evidence to its threshold that is kept: more would only delay the return."""
GOOD_SPREADS = 0.5
"""A sample is good up to so many spreads above the median: two in three are of an upstream that is well, one in four of
one that is half as slow again."""
EXONERATION = 0.6
"""What a good sample that follows good ones leaves of the evidence."""
SURELY_WELL = -2.0
"""From so many spreads below the usual up to it, `slow_llr` is below 0 (a test holds it)."""
CREDIT, MOST_CREDITS = 1.5, 16
"""Nats that a call under way may be owed by the ones that came before it: survivors alone look slow."""

_PHI = 1.0 / sqrt(2.0 * 3.141592653589793)
_SQRT_HALF = sqrt(0.5)
# Parts of `slow_llr` that depend on no sample.
_WELL_PEAK, _SLOW_PEAK = (1.0 - TAIL_SHARE) * _PHI, SLOW_SHARE * _PHI
_WELL_TAIL, _SLOW_TAIL = TAIL_SHARE / TAIL_LN, REST_SHARE / TAIL_LN
_TWICE_LN, _FOURFOLD_LN = SLOW_LNS
_WIDTH_SQUARED = SLOW_WIDTH * SLOW_WIDTH


def slow_llr(ratio_ln: float, spread: float) -> float:
    """Return the evidence of one time that came: ln of its density when slow to that when well."""
    z = ratio_ln / spread
    width = sqrt(spread * spread + _WIDTH_SQUARED)
    first, second = (ratio_ln - _TWICE_LN) / width, (ratio_ln - _FOURFOLD_LN) / width
    well = _WELL_PEAK / spread * exp(-0.5 * z * z)
    slow = _SLOW_PEAK / width * (exp(-0.5 * first * first) + exp(-0.5 * second * second))
    if ratio_ln > 0.0:
        well += _WELL_TAIL
        slow += _SLOW_TAIL
    return clamp(log((slow + 1e-9) / (well + 1e-9)), LEAST_LLR, MOST_LLR)


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
    return clamp(log(slow / well), 0.0, MOST_LLR)


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
        """Samples in a row that were hardly slower than usual."""

    def add(self, ratio_ln: float, spread: float, jump_limit: float, drift_limit: float, waiting: int = 0) -> None:
        """Take a time; evidence never exceeds `MAX_RATIO` limits, so that good samples can undo it.

        `waiting` calls are judged by their age besides: those that came soonest must weigh against them.
        """
        z, owed = ratio_ln / spread, float(min(waiting, MOST_CREDITS)) if waiting else 0.0
        clipped = -CLIP if z < -CLIP else min(z, CLIP)
        drift, least = self.drift + DRIFT_SHIFT * (clipped - DRIFT_REFERENCE), -DRIFT_CREDIT * owed
        self.drift = least if drift < least else min(drift, MAX_RATIO * drift_limit)
        self.good = self.good + 1 if z < GOOD_SPREADS else 0
        if SURELY_WELL <= z <= 0.0 and self.jump <= 0.0 and not waiting:
            self.jump = 0.0  # every second sample: what speaks for it has nothing to be taken from
            return
        self.jump = clamp(self.jump + slow_llr(ratio_ln, spread), -CREDIT * owed, MAX_RATIO * jump_limit)
        if self.good > 1 and self.jump > 0.0:
            self.jump *= EXONERATION

    def add_waited(self, ratio_ln: float, spread: float, jump_limit: float, drift_limit: float) -> None:
        """Take a time that was cut off: it would have been longer."""
        llr = waiting_llr(ratio_ln, spread)
        if llr > 0.0:
            self.good = 0
            self.jump = min(self.jump + llr, MAX_RATIO * jump_limit)
        self.drift = min(self.drift + drift_waiting_llr(ratio_ln, spread), MAX_RATIO * drift_limit)

    def ratio(
        self, jump_limit: float, drift_limit: float, jump_waiting: float = 0.0, drift_waiting: float = 0.0
    ) -> float:
        """Return the stronger evidence over its threshold, with what calls under way add; 0..`MAX_RATIO`."""
        jump, drift = self.jump + jump_waiting, self.drift + drift_waiting
        if jump <= 0.0 and drift <= 0.0:
            return 0.0  # four times in five, and an end of a call asks five times
        return clamp(max(jump / jump_limit, drift / drift_limit), 0.0, MAX_RATIO)

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
_LEARN_EVERY = 16
"""Successes between two looks at the learned rate, while nothing is wrong: it moves by a hundredth in between."""
_ERRORS_KEPT = 2000.0
"""Attempts after which the learned rate has forgotten half."""


class ErrorTest:
    """Bernoulli CUSUM of failures, with a base rate that is learned (Beta prior) while nothing is wrong: the failures
    of a fault must not raise the rate that they, or those of the next one, are measured by."""

    __slots__ = ("_all", "_failed", "_new_all", "_new_failed", "nats")

    def __init__(self) -> None:
        self.nats = 0.0
        self._failed, self._all = ERROR_PRIOR_FAILED, ERROR_PRIOR_ALL
        self._new_failed = self._new_all = 0

    @property
    def rate(self) -> float:
        """The base rate."""
        return clamp(self._failed / self._all, MIN_ERROR_RATE, MAX_ERROR_RATE)

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
        self._new_all += 1
        if is_failure:
            self._new_failed += 1
            self.nats = min(self.nats + self.step, ceiling)
            if self.nats >= ceiling:
                self._new_failed = self._new_all = 0  # so much is no bad luck
        elif self.nats:
            self.nats = max(0.0, self.nats - self._relief())
        elif not self._new_failed and self._new_all < _LEARN_EVERY:
            return  # the usual case
        if self.nats < _FORGIVEN:
            self._learn()

    def clear(self) -> None:
        """Forget what is held against the upstream, and learn nothing from it."""
        self.nats = 0.0
        self._new_failed = self._new_all = 0

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

    def add(self, now: float) -> None:
        """Count one."""
        if now > self._at:
            self._sum *= exp((self._at - now) / RATE_TAU_S)
            self._at = now
        self._sum += 1.0

    def per_s(self) -> float:
        """Return the rate as of the last event, `MIN_RATE`..`MAX_RATE`."""
        span = RATE_TAU_S * (1.0 - exp((self._began_at - self._at - 2.0) / RATE_TAU_S))
        return clamp(self._sum / span, MIN_RATE, MAX_RATE)


TREND_KEEP = 0.94
"""Of the past with every sample: the last 16 or so count."""
TREND_SAMPLES = 12
TREND_LEAST_LEVEL = 0.2
"""20 % slower at least: an upstream that grows slower from faster than usual is well."""


class Trend:
    """Level and slope of ln(ratio), by discounted least squares (Brown 1963), the regression form of Holt's method."""

    __slots__ = ("_at", "_st", "_stt", "_sty", "_sw", "_sy", "_syy", "count")

    def __init__(self) -> None:
        self.count = 0
        self._at = 0.0
        self._sw = self._st = self._sy = self._stt = self._sty = self._syy = 0.0

    def add(self, ratio_ln: float, now: float) -> None:
        """Take a residual, clipped by the caller."""
        back = self._at - now if self.count else 0.0
        keep, sw, st, sy = TREND_KEEP, self._sw, self._st, self._sy
        # Times are counted from the latest sample backwards: move them all by `back`.
        self._stt = keep * (self._stt + 2.0 * back * st + back * back * sw)
        self._sty = keep * (self._sty + back * sy)
        self._st = keep * (st + back * sw)
        self._sw = keep * sw + 1.0
        self._sy = keep * sy + ratio_ln
        self._syy = keep * self._syy + ratio_ln * ratio_ln
        self._at = now
        self.count += 1

    @property
    def level(self) -> float:
        """The logarithm at the latest sample, on the line through the last ones."""
        return self._sy / self._sw - self.slope * self._st / self._sw if self.count else 0.0

    @property
    def slope(self) -> float:
        """Of that line, a second; 0 while there are too few samples for one, or all came at once."""
        if self.count < TREND_SAMPLES:
            return 0.0
        var_t = self._stt - self._st * self._st / self._sw
        return (self._sty - self._st * self._sy / self._sw) / var_t if var_t > 1e-9 else 0.0

    @property
    def t_stat(self) -> float:
        """How sure it is that it grows slower, in standard errors; 0 where it does not, or is no slower than usual."""
        sw, st, sy = self._sw, self._st, self._sy
        if self.count < TREND_SAMPLES or self._sty * sw <= st * sy:
            return 0.0
        slope = self.slope
        if slope <= 0.0 or sy / sw - slope * st / sw <= TREND_LEAST_LEVEL:
            return 0.0
        var_t, cov = self._stt - st * st / sw, self._sty - st * sy / sw
        rest = max(self._syy - sy * sy / sw - slope * cov, 1e-3 * sw)
        return slope * sqrt(var_t * (sw - 2.0) / rest)

    def breach_in_s(self, limit_ln: float) -> float | None:
        """Return the seconds until the level passes `limit_ln`, 0 where it has; None where it does not grow."""
        level, slope = self.level, self.slope
        if level >= limit_ln:
            return 0.0
        return (limit_ln - level) / slope if slope > 0.0 else None
