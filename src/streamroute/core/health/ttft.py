"""What is normal for one upstream: a robust, slow baseline of ln(seconds), for a prompt of any size.

    ln(ttft) = m + b * ln(1 + prompt_tokens / 1000) + s * noise

m is the median and s the spread by quartiles of a decaying sketch (a fault of less than a quarter of the samples hardly
moves either; Huber, Robust Statistics); b is a ridge regression on clipped residuals, drawn to a prior. The baseline is
frozen by its owner while the upstream is suspect: percentiles that a fault drags along hide it (CASSANDRA-14293).
"""

from math import log, log1p, sqrt

from streamroute.core.clamp import clamp
from streamroute.core.health.sketch import LogSketch, RelativeTtft

SPREAD_PRIOR = 0.4
"""Of ln(ttft); published runs of hosted models lie within 0.16..0.6."""
PRIOR_SAMPLES = 20.0
"""How many samples the prior is worth."""
MIN_SPREAD, MAX_SPREAD = 0.15, 0.8
SLOPE_PRIOR = 0.3
"""Four times the prompt takes half as long again, once it is far above a thousand tokens."""
SLOPE_PRIOR_SD = 0.25
MIN_SLOPE, MAX_SLOPE = 0.0, 1.2
"""Prefill grows at most about linearly with the prompt."""
_NEAR = 0.3
"""Sizes this close together need no doubt: a third more tokens, of long prompts."""
SEEN_SDS = 2.0
"""Sizes within so many standard deviations of the mean are ones that were seen."""
COLD_BELOW = 10
"""Samples that a judgement needs."""
REFRESH_EVERY = 8
"""Samples between two readings of the sketch, once warm."""
SETTLED_SAMPLES = 150
"""From so many on the median is known within a tenth of the spread."""
REBASE_AFTER_S = 600.0
"""Ten minutes of stable slowness are the new normal."""
YOUNG_REBASE_AFTER_S = 30.0
"""Of a baseline that stands on little itself."""
REBASE_SAMPLES = 20
REMEMBERED_S = 86_400.0
"""After a day of a new normal the old one is history: a model that was replaced by a slower one stays slower."""
_CLIP = 2.5
_FORGET = 0.999
_STABLE = 1.6
"""The new normal may be this many times as spread as the old one."""


def size_of(prompt_tokens: int) -> float:
    """Return the covariate of a prompt's size: 0 for an empty one, ln 2 for a thousand tokens."""
    return log1p(prompt_tokens / 1000.0) if prompt_tokens > 0 else 0.0


class Norm:
    """Median and spread of the logarithm of one upstream's times that depend on no prompt."""

    __slots__ = (
        "_min_spread", "_n", "_next_refresh", "_rebased_at", "_shadow", "_shadow_since", "_sketch", "level",
        "rebased_from", "spread",
    )  # fmt: skip

    def __init__(self, *, min_spread: float = MIN_SPREAD) -> None:
        """`min_spread` is the least spread of ln(seconds) that is believed."""
        self._min_spread = min_spread
        self._sketch = LogSketch()
        self.level = 0.0
        self.spread = max(SPREAD_PRIOR, min_spread)
        self._n = 0
        self._next_refresh = 1
        self._shadow: LogSketch | None = None
        self._shadow_since = 0.0
        self.rebased_from: float | None = None
        """The level before the last rebase, while the present one is well above it, for a day at most."""
        self._rebased_at = 0.0

    @property
    def count(self) -> int:
        """How many healthy samples it stands on."""
        return self._n

    @property
    def is_cold(self) -> bool:
        """Too little is known for a judgement."""
        return self._n < COLD_BELOW

    @property
    def predicted_spread(self) -> float:
        """The spread of a prediction: that of the samples, with what is not known of their median."""
        return sqrt(self.spread * self.spread * (1.0 + 1.6 / (self._n + 0.5)))

    @property
    def is_young(self) -> bool:
        """Its median may still be off by much: slow samples may be as right as it is."""
        return self._n < SETTLED_SAMPLES

    @property
    def doubt(self) -> float:
        """What is to be taken off a residual, ln(seconds), because the median of a young baseline may be off by that:
        two standard errors of a median, beyond what `SETTLED_SAMPLES` leave. It is no noise that the next sample would
        undo, so a sequential test would add it up."""
        if self._n >= SETTLED_SAMPLES:
            return 0.0
        return 2.5 * self.spread * (1.0 / sqrt(self._n + 0.5) - 1.0 / sqrt(SETTLED_SAMPLES))

    def take(self, ln_s: float, now: float) -> None:
        """Take a healthy sample."""
        self._shadow = None
        self._n += 1
        self._sketch.add(ln_s, now)
        if self._n >= self._next_refresh:
            self._next_refresh = self._n + (1 if self._n < 2 * COLD_BELOW else REFRESH_EVERY)
            self._refresh()
            if self.rebased_from is not None and now - self._rebased_at > REMEMBERED_S:
                self.rebased_from = None

    def take_frozen(self, ln_s: float, now: float) -> bool:
        """Take a slow but successful sample while frozen; True where it has become the new normal."""
        if self._shadow is None:
            self._shadow, self._shadow_since = LogSketch(), now
        shadow = self._shadow
        shadow.add(ln_s, now)
        if (
            now - self._shadow_since < (YOUNG_REBASE_AFTER_S if self.is_young else REBASE_AFTER_S)
            or shadow.count < REBASE_SAMPLES
        ):
            return False
        low, high = shadow.quantiles(0.25, 0.75)
        if (high - low) / 1.349 > _STABLE * self.spread:
            return False
        self.rebased_from = self.level if self.rebased_from is None else min(self.level, self.rebased_from)
        self._rebased_at = now
        self._rebase(shadow)
        self._refresh()
        return True

    def _rebase(self, shadow: LogSketch) -> None:
        shadow.version += self._sketch.version + 1
        self._sketch, self._shadow = shadow, None
        self._n = shadow.count
        self._next_refresh = self._n + 1

    def _refresh(self) -> None:
        low, self.level, high = self._sketch.quantiles(0.25, 0.5, 0.75)
        seen = (high - low) / 1.349
        spread = sqrt((PRIOR_SAMPLES * SPREAD_PRIOR**2 + self._n * seen * seen) / (PRIOR_SAMPLES + self._n))
        self.spread = clamp(spread, self._min_spread, MAX_SPREAD)
        if self.rebased_from is not None and self.level < self.rebased_from + log(1.3):
            self.rebased_from = None


class Baseline(Norm):
    """The same of times to first token, which grow with the prompt."""

    __slots__ = ("_slope_mass", "_sw", "_sx", "_sxx", "_sxy", "_sy", "slope", "ttft")

    def __init__(self) -> None:
        super().__init__()
        self.ttft = RelativeTtft(self._sketch)
        self.slope = SLOPE_PRIOR
        self._sw = self._sx = self._sy = self._sxx = self._sxy = 0.0
        self._slope_mass = 0.0

    def expected_ln(self, size: float) -> float:
        """Return the median of ln(seconds) for a prompt of `size` (see `size_of`)."""
        return self.level + self.slope * size

    def uncertainty_at(self, size: float) -> tuple[float, float]:
        """Return (doubt, spread) of a prediction for a prompt of `size`, with what is not known of level and slope.

        The doubt is to be taken off a residual: what is not known of how times grow with prompts is one error, made
        again with every sample, until some of that size have been learned from.
        """
        away = beyond = 0.0
        if self._sw > 0.0:  # beyond what was seen: short prompts say nothing of how the times of far longer ones grow
            mean = self._sx / self._sw
            away = abs(size - mean)
            var = self._sxx / self._sw - mean * mean
            if away * away > SEEN_SDS * SEEN_SDS * var:  # hardly ever
                beyond = away - SEEN_SDS * sqrt(var) if var > 0.0 else away
        slope_var = SLOPE_PRIOR_SD * SLOPE_PRIOR_SD * (away * away / (1.0 + self._slope_mass) + beyond * beyond)
        spread = sqrt(self.spread * self.spread * (1.0 + 1.6 / (self._n + 0.5)) + slope_var)
        if away < _NEAR and self._n >= SETTLED_SAMPLES:
            return 0.0, spread
        return self.doubt + SLOPE_PRIOR_SD * (away / sqrt(1.0 + self._slope_mass) + beyond), spread

    def learn(self, ln_s: float, size: float, now: float) -> None:
        """Take a healthy sample."""
        y = ln_s
        if self._n:
            expected, most = self.level + self.slope * size, _CLIP * self.spread
            low, high = expected - most, expected + most
            y = low if ln_s < low else min(ln_s, high)
        self._sw = self._sw * _FORGET + 1.0
        self._sx = self._sx * _FORGET + size
        self._sy = self._sy * _FORGET + y
        self._sxx = self._sxx * _FORGET + size * size
        self._sxy = self._sxy * _FORGET + size * y
        self.take(ln_s - self.slope * size, now)

    def endure(self, ln_s: float, size: float, now: float) -> bool:
        """Take a slow but successful sample while frozen; True where it has become the new normal."""
        return self.take_frozen(ln_s - self.slope * size, now)

    def _rebase(self, shadow: LogSketch) -> None:
        super()._rebase(shadow)
        self._sw = self._sx = self._sy = self._sxx = self._sxy = 0.0
        self.ttft = RelativeTtft(shadow)

    def _refresh(self) -> None:
        if self._sw > 0.0:
            var_x = max(0.0, self._sxx - self._sx * self._sx / self._sw)
            cov = self._sxy - self._sx * self._sy / self._sw
            ridge = (self.spread / SLOPE_PRIOR_SD) ** 2
            slope = (cov + ridge * SLOPE_PRIOR) / (var_x + ridge)
            slope = clamp(slope, MIN_SLOPE, MAX_SLOPE)
            self._slope_mass = var_x / ridge
            self._sketch.shift((self.slope - slope) * self._sx / self._sw)
            self.slope = slope
        super()._refresh()
        self.ttft.centre_on(self.level)
