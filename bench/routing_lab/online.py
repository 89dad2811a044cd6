"""Qualities learned from nothing, on recorded requests in random order: what partial outcomes are worth.

Each request is served by one upstream, and its outcome is known; for a share of requests, audits, it is known of all
others too. The second half of the stream counts. Utility is quality less `PRICE` points a dollar; its gain is over the
best single upstream in hindsight, and stands beside the gain of the same models when every outcome is known.

What an upstream costs is believed to be its mean over the stream, then what was seen in the domain: prices are known
from the start, lengths are learned. Utility is without the price of audits; that is given beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.calibration import OnlineCalibration, calibration_error
from streamroute.core.quality.subject_text import SubjectText, read_subject
from streamroute.core.routing.learned.exploration import AuditBudget, expected_lead
from streamroute.core.routing.learned.first_level import outcome_arrays
from streamroute.core.routing.learned.online_quality import OnlineQuality, QualityEstimates
from streamroute.core.routing.learned.outcome_rows import Row

Floats = NDArray[np.float64]

POOL = "A2"
PRICE = 60.0
"""Quality points a US dollar."""
SEEDS = 10
REFERENCE_SHARE = 0.49
"""Of full information's gain, by a greedy choice with 3 % audits of averaged linear models."""
_COST_LOOKS = 5.0
OPTIMISM = 0.7
"""Standard deviations: upper confidence bounds (Auer, Cesa-Bianchi and Fischer, 2002). Beside audits 0 and .7 differ by
less than their noise; without audits some are needed, as nothing else tries what is not believed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """How a stream is served."""

    name: str
    audits: float = 0.0
    is_uniform: bool = False
    """Audits are drawn with one chance for all."""
    optimism: float = OPTIMISM
    knows_all: bool = False
    labelled: float = 1.0
    """Share of requests whose outcome is known at all, besides audits."""


MODES = (
    Mode(name="full information", knows_all=True, optimism=0.0),
    Mode(name="3 % audits where in doubt", audits=0.03),
    Mode(name="3 % audits where in doubt, 20 % of outcomes known", audits=0.03, labelled=0.2),
    Mode(name="3 % uniform audits", audits=0.03, is_uniform=True),
    Mode(name="3 % uniform audits, greedy", audits=0.03, is_uniform=True, optimism=0.0),
    Mode(name="no audits", audits=0.0),
)


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests, and all that became of them: one row a request, one column an upstream."""

    upstreams: Sequence[str]
    questions: Sequence[SubjectText]
    domains: Sequence[str]
    scores: Floats
    costs_usd: Floats
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Run:
    """What serving a stream came to, in the order in which requests came."""

    order: NDArray[np.intp]
    utility: Floats
    audit_usd: Floats
    is_audited: NDArray[np.bool_]
    believed: Floats
    """Before anything was asked: one column an upstream."""
    calibrated: Floats


def stream_of(found: Sequence[Row], upstreams: Sequence[str]) -> Stream:
    """Read requests once, for all runs."""
    scores, costs = outcome_arrays(found, upstreams)
    texts = [row.text for row in found]
    return Stream(upstreams, [read_subject(text) for text in texts], [row.kind for row in found], scores, costs, texts)


def serve(stream: Stream, mode: Mode, seed: int) -> Run:
    """Serve a stream once."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(stream.questions))
    quality, budget = OnlineQuality(), AuditBudget(mode.audits)
    calibration = OnlineCalibration()
    costs = Costs(stream.costs_usd.mean(axis=0))
    shape = (len(order), len(stream.upstreams))
    utility, audit_usd, is_audited = np.zeros(len(order)), np.zeros(len(order)), np.zeros(len(order), np.bool_)
    believed, calibrated = np.zeros(shape), np.zeros(shape)
    for place, at in enumerate(order.tolist()):
        question, domain, scores = stream.questions[at], stream.domains[at], stream.scores[at]
        found = quality.estimates(question, domain, stream.upstreams)
        prices = PRICE * costs.of(domain)
        chosen = int(optimistic(found, prices.tolist(), mode.optimism).argmax())
        chance = mode.audits if mode.is_uniform else budget.chance(largest_lead(found, prices.tolist(), chosen))
        is_audited[place] = rng.random() < chance
        believed[place] = found.means
        calibrated[place] = [calibration.probability(mean) for mean in found.means]
        utility[place] = scores[chosen] - PRICE * stream.costs_usd[at, chosen]
        audit_usd[place] = is_audited[place] * (stream.costs_usd[at].sum() - stream.costs_usd[at, chosen])
        if mode.knows_all or is_audited[place]:
            known = list(range(len(scores)))
        else:
            known = [chosen] if rng.random() < mode.labelled else []
        costs.learn(domain, known or [chosen], stream.costs_usd[at])
        quality.learn(question, domain, {stream.upstreams[each]: float(scores[each]) for each in known})
        for each in known:
            calibration.learn(float(found.means[each]), float(scores[each]))
    return Run(order, utility, audit_usd, is_audited, believed, calibrated)


def optimistic(estimates: QualityEstimates, prices: Sequence[float], optimism: float = OPTIMISM) -> Floats:
    """Return what each upstream would be worth at best: quality, doubt, less price (in points of quality, 0..1)."""
    sds = np.sqrt(estimates.covariance.diagonal())
    return np.asarray(estimates.means + optimism * sds - np.asarray(prices))


def largest_lead(found: QualityEstimates, prices: Sequence[float], chosen: int) -> float:
    """Return the largest expected lead of another upstream over the chosen one, in points of quality."""
    worth = (found.means - np.asarray(prices)).tolist()
    sds = found.lead_sds(chosen).tolist()
    leads = [expected_lead(worth[other] - worth[chosen], sd) for other, sd in enumerate(sds) if other != chosen]
    return max(leads, default=0.0)


class Costs:
    """What is believed of costs, by domain."""

    def __init__(self, usual: Floats) -> None:
        self._usual = usual
        self._sums: dict[str, Floats] = {}
        self._looks: dict[str, Floats] = {}

    def of(self, domain: str) -> Floats:
        """Return US dollars, one an upstream."""
        if domain not in self._sums:
            return self._usual
        return np.asarray(self._sums[domain] / self._looks[domain])

    def learn(self, domain: str, known: Sequence[int], costs: Floats) -> None:
        sums = self._sums.setdefault(domain, self._usual * _COST_LOOKS)
        looks = self._looks.setdefault(domain, np.full(len(costs), _COST_LOOKS))
        sums[known] += costs[known]
        looks[known] += 1.0


def facts_of(stream: Stream, run: Run) -> dict[str, float]:
    half = len(run.order) // 2
    later = run.order[half:]
    utilities = stream.scores[later] - PRICE * stream.costs_usd[later]
    best = float(utilities.mean(axis=0).max())
    scores = stream.scores[later]
    columns = range(scores.shape[1])
    return {
        "utility": float(run.utility[half:].mean()),
        "static": best,
        "gain": float(run.utility[half:].mean()) - best,
        "audited": float(run.is_audited.mean()),
        "audit_price": PRICE * float(run.audit_usd.mean()),
        "auroc": float(np.mean([_auroc(run.believed[half:, each], scores[:, each]) for each in columns])),
        "ece": float(np.mean([calibration_error(run.believed[half:, each], scores[:, each]) for each in columns])),
        "ece_cal": float(
            np.mean([calibration_error(run.calibrated[half:, each], scores[:, each]) for each in columns])
        ),
    }


def line_of(facts: Sequence[dict[str, float]], full: float) -> dict[str, Any]:
    mean = {name: float(np.mean([each[name] for each in facts])) for name in facts[0]}
    gains = [each["gain"] for each in facts]
    return {
        "utility": round(mean["utility"], 4),
        "best_static": round(mean["static"], 4),
        "gain": round(mean["gain"], 4),
        "gain_standard_error": round(float(np.std(gains)) / max(1, len(gains) - 1) ** 0.5, 4),
        "share_of_full_gain": round(mean["gain"] / full, 3) if full > 0 else None,
        "reference_share": REFERENCE_SHARE,
        "audited": round(mean["audited"], 4),
        "price_of_audits": round(mean["audit_price"], 4),
        "auroc": round(mean["auroc"], 4),
        "calibration_error": round(mean["ece"], 4),
        "calibration_error_calibrated": round(mean["ece_cal"], 4),
    }


def _auroc(believed: Floats, scores: Floats) -> float:
    """Return the chance that a right answer was believed in more than a wrong one; ties count half."""
    right, wrong = np.sort(believed[scores > 0.5]), np.sort(believed[scores <= 0.5])
    if not len(right) or not len(wrong):
        return 0.5
    below = np.searchsorted(wrong, right, side="left") + np.searchsorted(wrong, right, side="right")
    return float(below.mean() / 2.0 / len(wrong))
