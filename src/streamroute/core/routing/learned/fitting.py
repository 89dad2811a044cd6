"""A policy fitted on recorded outcomes.

The features of every row come from models that have not seen it (cross-fitting). Policies of many prices are replayed
on them, and the price is taken that saves most at the quality that is wanted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from streamroute.core.routing.learned.domain_drift import UsualWords, usual_words
from streamroute.core.routing.learned.first_level import (
    EPOCHS,
    by_stage,
    fitted,
    known_domains,
    outcome_arrays,
    prepare,
    seen,
    seen_held_out,
)
from streamroute.core.routing.learned.outcome_rows import Row, folds
from streamroute.core.routing.learned.stage import Seen, Stage, answer_features
from streamroute.core.routing.learned.tier_models import TierModels
from streamroute.core.routing.learned.tier_policy import (
    Outcomes,
    PolicyKind,
    Replay,
    TierPolicy,
    fit,
    replay_held_out,
)

Floats = NDArray[np.float64]

FOLDS = 5
SEED = 20_261_125
KINDS: tuple[PolicyKind, ...] = get_args(PolicyKind)
OPTIMISM = 0.003
"""How much more of the quality ratio is asked for on the fitted rows: a choice among prices flatters the one that is
chosen. With this much the ratio that comes on other questions is the one to be kept, on the mean over seven pools and
many random splits (docs/concepts/routing.md)."""
_PRICES = np.concatenate([[0.0], np.geomspace(0.0003, 0.003, 8)[:-1], np.geomspace(0.003, 1.0, 150), [1.5, 3.0]])
"""Quality points for what the large model costs on average: from "money is no object" to "quality is none".
Where policies differ they are 4 % apart: at 17 % the chosen one saved up to six points less than one between two."""


@dataclass(frozen=True)
class Material:
    """Rows with all that is computed of them before any policy: their features come from models that have not seen
    them."""

    tiers: Sequence[str]
    rows: Sequence[Row]
    folds: NDArray[np.intp]
    domains: Sequence[str]
    features: Mapping[Stage, Floats]
    seen: Sequence[Seen]
    weights: Floats
    """How often each request comes."""

    @cached_property
    def outcomes(self) -> Outcomes:
        """Return what asking each tier came to."""
        scores, costs = outcome_arrays(self.rows, self.tiers)
        return Outcomes(scores=scores, costs_usd=costs)

    def weighted(self, weights: Floats) -> "Material":
        """Return the same requests, coming as often as `weights` say; those that never come are left out."""
        return replace(self, weights=weights).picked(weights > 0)

    def picked(self, which: Sequence[bool] | NDArray[np.bool_]) -> "Material":
        """Return some of the requests."""
        at: list[int] = np.flatnonzero(which).tolist()
        return replace(
            self,
            rows=[self.rows[i] for i in at],
            folds=self.folds[at],
            features={stage: features[at] for stage, features in self.features.items()},
            seen=[self.seen[i] for i in at],
            weights=self.weights[at],
        )


@dataclass(frozen=True)
class Curve:
    """What policies of many prices come to on rows that their models have not seen."""

    prices: Floats
    savings: Floats
    ratios: Floats
    replay: Replay

    def price_for(self, ratio: float) -> float:
        """Return the price with the largest saving of those that keep the ratio; where none does, the one with the
        highest ratio."""
        good = np.flatnonzero(self.ratios >= ratio)
        at = good[self.savings[good].argmax()] if len(good) else self.ratios.argmax()
        return float(self.prices[at])

    def mix_for(self, ratio: float) -> tuple[float, float, float]:
        """Return two prices and the share of requests for the second, dealt by chance, that save most at a ratio: with
        few questions the ratio falls in steps, and between two of them only a mix keeps it (Dekoninck et al., 2024)."""
        first = self.price_for(ratio)
        at = int(np.flatnonzero(self.prices == first)[0])
        if self.ratios[at] < ratio:
            return first, first, 0.0
        best, found = self.savings[at], (first, first, 0.0)
        for a in np.flatnonzero(self.ratios >= ratio):
            for b in np.flatnonzero((self.ratios < ratio) & (self.savings > best)):
                share = (self.ratios[a] - ratio) / (self.ratios[a] - self.ratios[b])
                saving = self.savings[a] + share * (self.savings[b] - self.savings[a])
                if saving > best:
                    best, found = saving, (float(self.prices[a]), float(self.prices[b]), float(share))
        return found

    def saving_for(self, ratio: float) -> float:
        """Return the saving of the mix for a ratio; below -1 where no price has it, lower the further away."""
        if self.ratios.max() < ratio:
            return float(self.ratios.max()) - 3.0
        first, second, share = self.mix_for(ratio)
        one, two = (float(self.savings[self.prices == price][0]) for price in (first, second))
        return one + share * (two - one)

    @property
    def points(self) -> list[tuple[float, float]]:
        """Return (saving, ratio)."""
        return [(float(saving), float(ratio)) for saving, ratio in zip(self.savings, self.ratios, strict=True)]


def held_out_material(
    rows: Sequence[Row],
    partial: Sequence[Row],
    tiers: Sequence[str],
    epochs: int = EPOCHS,
    by: NDArray[np.intp] | None = None,
) -> Material:
    """Compute features by cross-fitting; `by`: which rows are held out together, random fifths where it is None.
    `partial`: rows that only some tiers were asked, to learn words from."""
    ready, extra = prepare(rows, tiers), prepare(partial, tiers)
    own = folds(rows, FOLDS) if by is None else by
    known = seen_held_out(ready, extra, len(tiers), own, SEED, epochs)
    domains = known_domains(ready) if by is None else []
    return Material(tiers, rows, own, domains, by_stage(known, len(tiers), domains), known, np.ones(len(rows)))


def all_learned(rows: Sequence[Row], partial: Sequence[Row], tiers: Sequence[str], epochs: int = EPOCHS) -> TierModels:
    """Return the first level, fitted on everything."""
    ready = [*prepare(rows, tiers), *prepare(partial, tiers)]
    return fitted(ready, len(tiers), np.random.default_rng(SEED), epochs)


def applied_material(rows: Sequence[Row], tiers: Sequence[str], models: TierModels, domains: Sequence[str]) -> Material:
    """Compute features of rows that the models have not seen."""
    known = [seen(each, models) for each in prepare(rows, tiers)]
    features = by_stage(known, len(tiers), domains)
    return Material(tiers, rows, folds(rows, FOLDS), domains, features, known, np.ones(len(rows)))


def curve(material: Material, kind: PolicyKind) -> Curve:
    """Replay many prices."""
    return _curve(material.features, material.outcomes, material, kind)


def _curve(features: Mapping[Stage, Floats], outcomes: Outcomes, material: Material, kind: PolicyKind) -> Curve:
    weights = material.weights / material.weights.sum()
    large_usd, large_quality = weights @ outcomes.costs_usd[:, -1], weights @ outcomes.scores[:, -1]
    prices = _PRICES / large_usd
    replayed = replay_held_out(features, outcomes, prices, material.folds, kind=kind)
    return Curve(
        prices,
        1.0 - weights @ replayed.cost_usd / large_usd,
        weights @ replayed.quality / large_quality,
        replayed,
    )


def best_kind(curves: Mapping[PolicyKind, Curve], ratio: float) -> PolicyKind:
    """Return the kind of policy that saves most at a quality ratio."""
    return max(KINDS, key=lambda kind: (curves[kind].saving_for(ratio), kind))


def policy(material: Material, price: float, kind: PolicyKind) -> TierPolicy:
    """Fit one policy."""
    return fit(material.features, material.outcomes, price, material.folds, kind=kind)


def answers_alone(material: Material) -> dict[Stage, Floats]:
    """Return the features of a cascade of the smallest and the largest tier that goes by the small answer alone."""
    return {(): np.zeros((len(material.rows), 1)), (0,): np.array([answer_features(each, 0) for each in material.seen])}


def cautious_policy(material: Material, ratio: float) -> TierPolicy:
    """Return such a cascade, for domains that nothing is known of: it should be fitted on material of which whole
    domains were held out together."""
    ends = Outcomes(
        scores=material.outcomes.scores[:, [0, -1]],
        costs_usd=material.outcomes.costs_usd[:, [0, -1]],
    )
    own = answers_alone(material)
    price = _curve(own, ends, material, "cascade").price_for(ratio)
    return fit(own, ends, price, material.folds, kind="cascade")


def usual_words_of(material: Material) -> Mapping[str, UsualWords]:
    """Return what the questions of each domain look like, to models that have not seen them."""
    return usual_words([row.kind for row in material.rows], np.array([each.unknown_share for each in material.seen]))


def domain_folds(rows: Sequence[Row]) -> NDArray[np.intp]:
    """Return a number a row: domains are dealt to few groups, so that whole ones are held out together."""
    kinds = sorted({row.kind for row in rows})
    return np.array([kinds.index(row.kind) % FOLDS for row in rows], np.intp)
