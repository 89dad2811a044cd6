"""What a policy came to, beside what was possible."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamroute.core.routing.learned.served import Served, always, ratio_interval, served_by
from streamroute.core.routing.learned.tier_policy import Outcomes

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ideal:
    """The cheapest answer that is right, which nobody can know; and the saving of the cheapest policy that keeps the
    large model's quality."""

    served: Served
    saving: float


def mixed(outcomes: Outcomes, share: float) -> Served:
    """Return what the largest tier comes to for a share of all requests, whichever, and the smallest for the rest."""
    small, large = always(outcomes, 0), always(outcomes, outcomes.tiers - 1)
    return Served(
        share * large.quality + (1 - share) * small.quality,
        share * large.cost_usd + (1 - share) * small.cost_usd,
        share * large.by_tier + (1 - share) * small.by_tier,
    )


def ideal(outcomes: Outcomes, weights: Floats) -> Ideal:
    """Return the oracle. `weights`: how often each request comes."""
    scores, costs = outcomes.scores, outcomes.costs_usd
    at = np.arange(len(scores))
    base = costs.argmin(axis=1)
    best = scores.max(axis=1)
    pick = np.where(best <= 0, base, np.where(scores >= best[:, None], costs, np.inf).argmin(axis=1))
    gain = scores[at, pick] - scores[at, base]
    extra = costs[at, pick] - costs[at, base]
    wanted = weights @ (scores[:, -1] - scores[at, base])
    useful = np.flatnonzero(gain > 0)
    order = useful[np.argsort(extra[useful] / gain[useful], kind="stable")]
    needed = int(np.searchsorted(np.cumsum((weights * gain)[order]), wanted)) + 1 if wanted > 0 else 0
    cost = weights @ costs[at, base] + (weights * extra)[order[:needed]].sum()
    served = served_by(pick, scores[at, pick], costs[at, pick], outcomes.tiers)
    return Ideal(served, float(1.0 - cost / (weights @ costs[:, -1])))


def report(served: Served, outcomes: Outcomes, best: Ideal, weights: Floats) -> dict[str, Any]:
    """Return the figures of one policy. `weights`: how often each request comes."""
    large = always(outcomes, outcomes.tiers - 1)
    quality, total = float(weights @ served.quality), float(weights.sum())
    saving = 1.0 - float(weights @ served.cost_usd) / float(weights @ large.cost_usd)
    return {
        "n": len(served.quality),
        "quality": _short(quality / total),
        "quality_ratio": _short(quality / float(weights @ large.quality)),
        "quality_ratio_ci": [_short(each) for each in ratio_interval(served.quality, large.quality, weights)],
        "saving": _short(saving),
        "tier_shares": [_short(each) for each in weights @ served.by_tier / total],
        "oracle_tier_shares": [_short(each) for each in weights @ best.served.by_tier / total],
        "efficiency": _short(saving / best.saving) if best.saving > 0 else None,
    }


def saving_at(points: Sequence[tuple[float, float]], ratio: float) -> float | None:
    """Return the saving at a quality ratio, between two of the points (saving, ratio) where none has it; None: no point
    reaches it."""
    best: float | None = max((saving for saving, own in points if own >= ratio), default=None)
    for (saving, low), (other, high) in [(a, b) for a in points for b in points if a[1] < ratio <= b[1]]:
        between = other + (high - ratio) / (high - low) * (saving - other)
        best = between if best is None else max(best, between)
    return best


def call_share_metrics(scores: Floats, weak: Floats, strong: Floats) -> dict[str, float | None]:
    """Return APGR, CPT(50 %) and CPT(80 %) as RouteLLM defines them (arXiv 2406.18665): rows with the highest scores
    go to the strong model."""
    many = len(scores)
    order = np.argsort(-scores, kind="stable")
    gap = (strong.sum() - weak.sum()) / many
    recovered = np.concatenate([[0.0], np.cumsum(strong[order] - weak[order])]) / many / gap
    figures: dict[str, float | None] = {"apgr": _short(((recovered[1:] + recovered[:-1]) / 2).mean())}
    for share in (50, 80):
        reached = np.flatnonzero(recovered >= share / 100)
        figures[f"cpt{share}"] = _short(reached[0] / many) if len(reached) else None
    return figures


def auroc(scores: Floats, outcomes: Floats) -> float:
    """Return the probability that a right answer has a higher score than a wrong one."""
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    right = outcomes > 0.5
    positives = int(right.sum())
    negatives = len(scores) - positives
    if not positives or not negatives:
        return 0.5
    return float((ranks[right].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _short(value: float) -> float:
    return round(float(value), 4)
