"""A decaying histogram of logarithms: quantiles within a few per cent, in bounded memory.

Bins of equal width in ln(value), as in DDSketch (Masson et al., VLDB 2019); weights grow forward in time instead of
being decayed in place (forward decay, Cormode et al., ICDE 2009).
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import exp, floor, log

BIN_LN = 0.06
"""Width of a bin: a value is known within 3 %."""
BINS = 160
"""From 1/30 to 400 times where the sketch began, in bins of 6 %: hangs and fast errors are outside on purpose."""
BELOW = 56
HALF_LIFE_S = 1800.0
"""Half an hour: shorter follows a fault, longer lags behind the day's load."""
_STEP_S = 1.0
"""Samples within a second weigh the same: of half an hour that is nothing, and a power takes as long as the rest."""
_RESCALE_AT = 1e12
_VERSION_STEP = 0.05
"""A new version every 5 % of samples: quantiles have hardly moved in between."""


class LogSketch:
    """A distribution of ln(value). Times are monotonic seconds."""

    __slots__ = (
        "_at", "_high", "_low", "_next_version_at", "_origin", "_unit", "_weights", "count", "total", "version",
    )  # fmt: skip

    def __init__(self) -> None:
        self._weights = [0.0] * BINS
        self._low, self._high = BINS - 1, 0  # the bins in use: a quarter of all, and quantiles add up no others
        self._origin: float | None = None
        self._at = 0.0
        self._unit = 1.0
        self._next_version_at = 1.0
        self.count = 0
        self.total = 0.0
        self.version = 0

    def add(self, ln_value: float, now: float) -> None:
        """Take a sample."""
        if self._origin is None:
            self._origin = ln_value - (BELOW + 0.5) * BIN_LN
            self._at = now
        unit = self._unit
        if now - self._at > _STEP_S:
            unit *= 2.0 ** ((now - self._at) / HALF_LIFE_S)
            self._at = now
            if unit > _RESCALE_AT:
                self._weights = [weight / unit for weight in self._weights]
                self.total /= unit
                unit = 1.0
            self._unit = unit
        index = floor((ln_value - self._origin) / BIN_LN)
        if index < self._low or index > self._high:
            index = min(max(index, 0), BINS - 1)
            self._low, self._high = min(self._low, index), max(self._high, index)
        self._weights[index] += unit
        self.total += unit
        self.count += 1
        if self.count >= self._next_version_at:
            self.version += 1
            self._next_version_at = self.count + max(1.0, self.count * _VERSION_STEP)

    def shift(self, ln_delta: float) -> None:
        """Move every sample by `ln_delta`: what they are measured against has changed."""
        if self._origin is not None:
            self._origin += ln_delta

    def quantiles(self, *qs: float) -> list[float]:
        """Return the `qs` (0..1) quantiles of ln(value), between bins by interpolation; 0 without samples."""
        if self._origin is None or self.total <= 0.0:
            return [0.0] * len(qs)
        low = self._low
        weights = self._weights[low : self._high + 1]
        upto = list(accumulate(weights))
        found = []
        for q in qs:
            want = q * upto[-1]
            index = min(bisect_left(upto, want), len(upto) - 1)
            weight = weights[index]
            inside = 0.5 if weight <= 0.0 else (want - upto[index] + weight) / weight
            found.append(self._origin + (low + index + inside) * BIN_LN)
        return found

    def bins(self, ln_centre: float = 0.0) -> list[tuple[float, float]]:
        """Return (value / exp(`ln_centre`), share of the weight) of every bin in use, ascending."""
        if self._origin is None:
            return []
        first, total = self._origin + 0.5 * BIN_LN - ln_centre, self.total
        return [
            (exp(first + index * BIN_LN), weight / total) for index, weight in enumerate(self._weights) if weight > 0.0
        ]


class RelativeTtft:
    """The `TtftDistribution` of a sketch around a moving centre."""

    __slots__ = ("_bins", "_bins_of", "_centre", "_sketch")

    def __init__(self, sketch: LogSketch) -> None:
        self._sketch = sketch
        self._centre = 0.0
        self._bins: Sequence[tuple[float, float]] = ()
        self._bins_of = -1

    def centre_on(self, ln_centre: float) -> None:
        """Set what counts as a ratio of 1."""
        self._centre = ln_centre

    @property
    def count(self) -> int:
        """See `TtftDistribution`."""
        return self._sketch.count

    @property
    def version(self) -> int:
        """See `TtftDistribution`."""
        return self._sketch.version

    def bins(self) -> Sequence[tuple[float, float]]:
        """See `TtftDistribution`."""
        if self._bins_of != self._sketch.version:
            self._bins = self._sketch.bins(self._centre)
            self._bins_of = self._sketch.version
        return self._bins


def ln_of(value: float, least: float = 1e-5) -> float:
    """Return ln(`value`), where nothing is shorter than `least`."""
    return log(value) if value > least else log(least)
