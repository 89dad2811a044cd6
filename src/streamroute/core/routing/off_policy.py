"""What a recorded workload would have come to under other decisions, from the outcomes that there are.

*Quality* is estimated doubly robustly (Dudik, Langford and Li, ICML 2011): the recorded estimate of whoever would
have been asked, corrected by how far answers that were seen of it were from their estimates: because it was asked then,
or in an audit. Corrections are weighted by one over the chance of having been seen, and normalised by the sum of these
weights (Swaminathan and Joachims, NIPS 2015). Where nobody had an estimate the mean of what was seen stands for it, and
the whole is plain self-normalised inverse propensity scoring. Both sides are estimated so over the same requests, the
recorded decisions from the judged answers to them: the mean of the judged answers alone is of other requests than the
estimate of all is, and a difference between these two is no gain. The same decisions therefore gain exactly nothing.

*Cost* is what was paid where the same one is asked again, else the price of the other for the tokens of the recorded
answer. Intervals are percentiles of a bootstrap over requests (Efron, 1979).

What nobody can know from a log: how good answers are of one that was never asked and has no estimate, and whether a
request that would now begin with another tier would be escalated.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 1000
MOST_DRAWS = 50_000_000
"""Requests times resamples: a second or two. Above it there are fewer resamples."""
LEAST_RESAMPLES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One request, as it was and as it would be."""

    is_same: bool
    """Whoever was asked first would be again."""
    tier: str
    """That would serve it, or be asked first; the name of a share, numbered from 1."""
    recorded_tier: str
    cost_usd: float | None
    """What it would cost; None: nobody knows the price."""
    recorded_cost_usd: float | None
    estimate: float | None
    """Of the quality of who would be asked, 0..1."""
    recorded_estimate: float | None
    """Of the quality of who was asked first, 0..1."""
    score: float | None
    """Of the answer that was given; None: nobody judged it."""
    weight: float = 1.0
    """One over the chance that it was judged."""
    seen: float | None = None
    """How good the answer of who would be asked was seen to be: because it was asked, or in an audit."""
    seen_weight: float = 1.0
    """One over the chance that it was seen."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and 95 % of its resamples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a workload comes to, by the recorded decisions and by the others."""

    requests: int
    same: int
    """Requests that begin with the same one."""
    judged: int
    seen: int
    """Judged answers of whoever would be asked."""
    effective: float
    """Answers that those are worth as a correction (Kish, 1965): few, and the estimates are all there is."""
    recorded_cost_usd: Interval | None
    """A request; None: no price is known."""
    cost_usd: Interval | None
    judged_quality: Interval | None
    """The mean of the answers that were judged, each by one over its chance; None: nobody judged any."""
    recorded_quality: Interval | None
    """Of all requests, as `quality`; None: neither estimates nor judged answers."""
    quality: Interval | None
    saved: Interval | None
    """Share of the recorded cost."""
    gained: Interval | None
    """`quality` above `recorded_quality`."""
    recorded_shares: dict[str, Interval]
    shares: dict[str, Interval]
    """Of requests, by tier."""


def evaluate(rows: Sequence[Replayed], *, seed: int = 0, resamples: int = RESAMPLES) -> Evaluation:
    """Return what some requests come to; raises ValueError where there are none."""
    if not rows:
        raise ValueError("there is no request to go by")
    resamples = max(LEAST_RESAMPLES, min(resamples, MOST_DRAWS // len(rows)))
    table = _Table(rows)
    draw = np.random.default_rng(seed)
    picks = [draw.integers(len(rows), size=len(rows)) for _ in range(resamples)]

    def interval(statistic: Callable[[NDArray[np.intp] | slice], float]) -> Interval | None:
        value = statistic(slice(None))
        if np.isnan(value):
            return None
        spread = [each for each in map(statistic, picks) if not np.isnan(each)]
        low, high = np.percentile(spread, [2.5, 97.5]) if spread else (value, value)
        return Interval(value, float(low), float(high))

    def share(names: NDArray[np.str_], name: str) -> Interval:
        found = interval(lambda at: float((names[at] == name).mean()))
        assert found is not None  # noqa: S101 - a share of one row or more is a number
        return found

    weights = table.seen_weight[table.is_seen]
    return Evaluation(
        requests=len(rows),
        same=int(table.is_same.sum()),
        judged=int(table.is_judged.sum()),
        seen=len(weights),
        effective=float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0,
        recorded_cost_usd=interval(table.recorded_cost),
        cost_usd=interval(table.cost),
        judged_quality=interval(table.judged_quality),
        recorded_quality=interval(table.recorded_quality),
        quality=interval(table.quality),
        saved=interval(lambda at: 1.0 - table.cost(at) / table.recorded_cost(at)),
        gained=interval(lambda at: table.quality(at) - table.recorded_quality(at)),
        recorded_shares={
            name: share(table.recorded_tiers, name) for name in sorted(set(table.recorded_tiers.tolist()))
        },
        shares={name: share(table.tiers, name) for name in sorted(set(table.tiers.tolist()))},
    )


class _Table:
    """Rows as columns. Costs are compared over the requests whose both costs are known."""

    def __init__(self, rows: Sequence[Replayed]) -> None:
        self.is_same = np.array([row.is_same for row in rows])
        self.tiers = np.array([row.tier for row in rows], np.str_)
        self.recorded_tiers = np.array([row.recorded_tier for row in rows], np.str_)
        self._cost = _floats(row.cost_usd for row in rows)
        self._recorded_cost = _floats(row.recorded_cost_usd for row in rows)
        is_priced = ~(np.isnan(self._cost) | np.isnan(self._recorded_cost))
        self._cost[~is_priced] = self._recorded_cost[~is_priced] = np.nan
        score = _floats(row.score for row in rows)
        self.is_judged = ~np.isnan(score)
        self._weight = np.array([row.weight for row in rows]) * self.is_judged
        self._score = np.where(self.is_judged, score, 0.0)
        self._estimate = _floats(row.estimate for row in rows)
        self._recorded_estimate = _floats(row.recorded_estimate for row in rows)
        seen = _floats(row.seen for row in rows)
        self.is_seen = ~np.isnan(seen)
        self._seen = np.where(self.is_seen, seen, 0.0)
        self.seen_weight = np.array([row.seen_weight for row in rows]) * self.is_seen

    def cost(self, at: NDArray[np.intp] | slice) -> float:
        return _mean(self._cost[at])

    def recorded_cost(self, at: NDArray[np.intp] | slice) -> float:
        return _mean(self._recorded_cost[at])

    def judged_quality(self, at: NDArray[np.intp] | slice) -> float:
        weights = self._weight[at]
        return float(weights @ self._score[at] / weights.sum()) if weights.any() else float("nan")

    def recorded_quality(self, at: NDArray[np.intp] | slice) -> float:
        return _doubly_robust(self._recorded_estimate[at], self._score[at], self._weight[at], self.judged_quality(at))

    def quality(self, at: NDArray[np.intp] | slice) -> float:
        return _doubly_robust(self._estimate[at], self._seen[at], self.seen_weight[at], self.judged_quality(at))


def _doubly_robust(estimate: Floats, seen: Floats, weights: Floats, otherwise: float) -> float:
    """Return the mean of estimates, corrected by what was seen (weight 0: it was not); `otherwise` stands for an
    estimate where there is none and nothing was seen. NaN: neither is there."""
    total = weights.sum()
    estimate = np.where(np.isnan(estimate), weights @ seen / total if total else otherwise, estimate)
    if np.isnan(estimate).all():
        return float("nan")
    expected = float(np.nanmean(estimate))
    return expected + float(weights @ (seen - estimate) / total) if total else expected


def _floats(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if each is None else each for each in values], np.float64)


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
