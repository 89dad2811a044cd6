"""When a second upstream should be asked beside a silent first one, and when to give the first one up.

A hedge pays where waiting longer promises more waiting: where the mean residual life E[T - t | T > t] of the first
upstream's time to first token grows beyond what the second one takes from now. Heavy tails reach that point, light
tails never do. A fixed percentile (Dean and Barroso, The Tail at Scale, CACM 2013) cannot tell the two apart: of a
light tail it hedges 5 % for nothing, and the fault itself drags it along (CASSANDRA-14293).
"""

from bisect import bisect_right
from collections.abc import Hashable
from functools import lru_cache
from math import exp, inf, log
from typing import cast

from streamroute.core.health.standing import Estimate, TtftDistribution

MIN_SAMPLES = 50
"""Below, the tail is a guess; failsafe-go gates hedges on a number of executions likewise."""
EARLIEST = 1.2
"""Times the median: what comes sooner is too often on its way."""
LATEST_SUSPECT = 2.5
"""Times the median at which one under suspicion is hedged, whatever its past says."""
COLD_P95 = exp(1.645 * 0.4)
COLD_MEAN = exp(0.4**2 / 2)
"""p95 and mean over median of an unknown upstream: a log-normal whose sigma is 0.4; public runs show 0.16..0.6."""
LATEST_COLD = 2.0
"""Times the median: Cassandra's `MIN(99p, 50ms)` bounds a percentile likewise."""
SLOWEST_BACKUP = 4.0
"""Times the first upstream's median. Where the tail is light no delay pays, and yet any upstream can hang, which no
past shows: beyond what is unlike this upstream a hang is likelier than luck, and a backup that is not much slower is
asked. It is what brings those that a hang catches at its onset home in time."""
UNLIKE_SPREADS = 2.6
"""Of ln(time), by quartiles, which no tail moves; a few outliers of a young upstream would drag a percentile along.
0.5 % of the usual times are beyond, and what a heavy tail has. 2.4: 0.03 s off a hang's p99, for 0.5 % more calls."""
LEAST_UNLIKE, MOST_UNLIKE = 1.6, 6.0
"""Times the median: of a very steady upstream, and of one whose times say little."""
RHO = 0.25
"""By what part what a hedge saves must exceed what it takes: it costs money too."""
MIN_WIN = 0.4
"""Least chance that the hedge comes first."""
CAP_S = 30.0
"""Waiting is counted up to here: nobody waits longer for a first token, and one outlier must not decide."""
BUCKET = 1.1
"""Backups whose times differ by less than this factor share a result."""

MAX_REMEMBERED = 4096
_NOTHING = 1e-9

MAX_TTFT_S, MIN_TTFT_S = 30.0, 2.0
MIN_STALL_S, MAX_STALL_S, STALL_FACTOR = 3.0, 20.0, 4.0
"""A stall is given up at four times the gap that is unlike the upstream, within 3..20 s."""


class HedgeDelays:
    """Says when a hedge pays, and remembers it as long as nothing has changed."""

    def __init__(self) -> None:
        self._ratios: dict[tuple[Tail, int, int], float | None] = {}

    def delay_s(self, primary: Estimate, backup: Estimate, *, is_suspect: bool) -> float | None:
        """Return seconds from the primary's start until a hedge pays, or None where waiting is better.

        None leaves the caller the deadline of the first token. `is_suspect`: of the primary.
        """
        tail, normal_s = _tail_of(primary.ttft), max(primary.normal_ttft_s, 1e-3)
        if tail is None:
            return normal_s * COLD_P95
        if tail.count < MIN_SAMPLES:
            return normal_s * max(EARLIEST * tail.p50, min(tail.p95, LATEST_COLD * tail.p50))
        backups = _tail_of(backup.ttft)
        mean = COLD_MEAN if backups is None or backups.count < MIN_SAMPLES else backups.mean
        ratio = max(backup.ttft_s, 1e-3) * mean / normal_s
        key = (tail, round(log(ratio) / log(BUCKET)), max(1, round(CAP_S / normal_s)))
        if key not in self._ratios:
            if len(self._ratios) >= MAX_REMEMBERED:
                self._ratios.clear()
            self._ratios[key] = tail.hedge_at(BUCKET ** key[1], float(key[2]))
        found = self._ratios[key]
        if found is None and ratio <= SLOWEST_BACKUP:
            found = tail.unlike
        if is_suspect:
            latest = LATEST_SUSPECT * tail.p50
            found = latest if found is None else min(found, latest)
        return None if found is None else found * normal_s


def ttft_deadline_s(estimate: Estimate, configured_s: float) -> float:
    """Return when to give an attempt up that has no first token: max(8 p50, 2 p99.5) within 2..30 s, and never
    above `configured_s`, which also holds for an upstream that is hardly known."""
    tail = _tail_of(estimate.ttft)
    if tail is None or tail.count < MIN_SAMPLES:
        return configured_s
    unlike_s = estimate.normal_ttft_s * max(8 * tail.p50, 2 * tail.p995)
    return min(configured_s, MAX_TTFT_S, max(MIN_TTFT_S, unlike_s))


def stall_limits(estimate: Estimate, configured_stall_s: float) -> tuple[float, float]:
    """Return (soft, hard): the gap between tokens that gives cause for concern, infinite where none is known, and
    the one that ends the attempt, never above `configured_stall_s`."""
    soft_s = estimate.stall_soft_s
    if soft_s is None:
        return inf, configured_stall_s
    return soft_s, min(configured_stall_s, MAX_STALL_S, max(MIN_STALL_S, STALL_FACTOR * soft_s))


class Tail:
    """One version of a distribution, in ratios to what was expected, with the sums that answers need."""

    __slots__ = ("_mass", "_ratios", "_weighted", "count", "mean", "p50", "p95", "p995", "unlike")

    def __init__(self, distribution: TtftDistribution) -> None:
        bins = distribution.bins()
        self.count = distribution.count if bins else 0
        self._ratios = [ratio for ratio, _ in bins]
        mass, weighted = [0.0], [0.0]
        for ratio, weight in reversed(bins):
            mass.append(mass[-1] + weight)
            weighted.append(weighted[-1] + ratio * weight)
        self._mass, self._weighted = mass[::-1], weighted[::-1]  # of the bins from each on
        self.p50, self.p95, self.p995 = (self._quantile(q) for q in (0.5, 0.95, 0.995))
        spread = log(self._quantile(0.75) / self._quantile(0.25)) / 1.349
        of_bulk = self.p50 * min(max(exp(UNLIKE_SPREADS * spread), LEAST_UNLIKE), MOST_UNLIKE)
        self.unlike = max(of_bulk, min(self.p995, LATEST_SUSPECT * self.p50))
        """Beyond it a time is unlike the usual ones, whatever the tail is."""
        self.mean = self._weighted[0] if bins else 1.0

    def hedge_at(self, backup: float, cap: float) -> float | None:
        """Return the smallest ratio at which a hedge pays, None where there is none.

        `backup`: what the second call takes, `cap`: up to where waiting counts; both are ratios too.
        """
        earliest = EARLIEST * self.p50
        for at in (earliest, *self._ratios[bisect_right(self._ratios, earliest) :]):
            later = bisect_right(self._ratios, at)
            left = self._mass[later]
            if left <= _NOTHING:
                return None
            capped = bisect_right(self._ratios, at + cap)
            beyond = self._mass[capped]
            within = self._weighted[later] - self._weighted[capped] - at * (left - beyond)
            waiting = (within + cap * beyond) / left
            win = self._mass[bisect_right(self._ratios, at + backup)] / left
            if waiting >= (1 + RHO) * backup and win >= MIN_WIN:
                return at
        return None

    def _quantile(self, q: float) -> float:
        """Return the first ratio that reaches `q`; 1 without any."""
        for index, ratio in enumerate(self._ratios):
            if 1 - self._mass[index + 1] >= q - _NOTHING:
                return ratio
        return self._ratios[-1] if self._ratios else 1.0


def _tail_of(distribution: TtftDistribution | None) -> Tail | None:
    """Return the tail of what is known; None where nothing is."""
    if distribution is None or distribution.count == 0:
        return None
    return _remembered(cast(Hashable, distribution), distribution.version)


@lru_cache(maxsize=256)
def _remembered(distribution: Hashable, version: int) -> Tail:
    del version  # a part of the key
    return Tail(cast(TtftDistribution, distribution))
