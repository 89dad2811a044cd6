"""A pool of models: all policies, fitted on one set of requests and applied to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routing_lab.calibrated import error_by_chance
from routing_lab.data import DataMissingError, Source, is_validation, rows
from routing_lab.effort import Effort
from routing_lab.metrics import Ideal, auroc, ideal, mixed, report, saving_at
from routing_lab.stream import Fitted, stream
from streamroute.core.quality.calibration import calibration_error, fitted_calibration
from streamroute.core.routing.learned.domain_guard import GuardOptions
from streamroute.core.routing.learned.first_level import batches
from streamroute.core.routing.learned.fitting import (
    KINDS,
    OPTIMISM,
    SEED,
    Curve,
    Material,
    all_learned,
    answers_alone,
    applied_material,
    best_kind,
    cautious_policy,
    curve,
    domain_folds,
    held_out_material,
    policy,
    usual_words_of,
)
from streamroute.core.routing.learned.outcome_rows import Row
from streamroute.core.routing.learned.served import Served, always, served_by
from streamroute.core.routing.learned.tier_policy import Outcomes, PolicyKind, Replay, replay

Floats = NDArray[np.float64]

KEPT = {"A2": 1.0, "A": 0.995, "A3": 1.0, "O": 0.995, "O1": 1.0, "B": 0.99, "tickets": 0.995}
"""Quality ratio that a pool's requests are to have: the large model's, or a little less where that will do."""
WANTED = {pool: kept + OPTIMISM for pool, kept in KEPT.items()}
"""Quality ratio asked for on the fitted rows, by pool."""
POINTS = {"quality": 1.01, "balanced": 1.0, "economy": 0.98}
"""Quality ratios asked for, by the name of an operating point."""
CAUTIOUS = 1.0
"""Quality ratio asked for where nothing is known of a domain; the guard asks for more or less once it has looked."""
_HINDSIGHT = (1.0, 0.995, 0.99, 0.98)


@dataclass(frozen=True)
class Halves:
    """What is fitted on, and what it is applied to."""

    pool: str
    split: str
    train: Material
    test: Material
    """Of domains that were fitted on."""
    is_same: bool
    """The rows that are applied to are those that were fitted on."""
    every: Material
    """Those that are applied to, and those of domains that nothing was fitted on."""
    by_domain: Material | None = None
    """Those that were fitted on, whole domains held out together; only where `every` has more than `test`."""

    @cached_property
    def curves(self) -> dict[PolicyKind, Curve]:
        """Return what prices come to on the fitted rows, held out, by kind of policy."""
        return {kind: curve(self.train, kind) for kind in KINDS}

    @cached_property
    def best(self) -> Ideal:
        """Return what nobody can know."""
        return ideal(self.test.outcomes, self.test.weights)

    def chosen(self, wanted: float) -> PolicyKind:
        """Return the kind of policy that saves most at this ratio on the fitted rows."""
        return best_kind(self.curves, wanted)

    def served(self, kind: PolicyKind, wanted: float) -> Served:
        """Return what a policy comes to, its prices chosen on the fitted rows: the mean of what chance may deal."""
        first, second, share = self.curves[kind].mix_for(wanted)
        one = self._at(kind, first)
        if not share:
            return one
        two = self._at(kind, second)
        return Served(
            (1 - share) * one.quality + share * two.quality,
            (1 - share) * one.cost_usd + share * two.cost_usd,
            (1 - share) * one.by_tier + share * two.by_tier,
        )

    def _at(self, kind: PolicyKind, price: float) -> Served:
        if self.is_same:
            held_out = self.curves[kind]
            return _served(held_out.replay, int(np.flatnonzero(held_out.prices == price)[0]), self.test)
        return _served(replay(policy(self.train, price, kind), self.test.features, self.test.outcomes), 0, self.test)


def split_rows(source: Source, split: str, datasets: Sequence[str]) -> tuple[list[Row], list[Row], bool]:
    """Return the rows to fit on, those to apply to, and whether they are the same."""
    every = rows(source.folder("train"), datasets)
    if not every:
        msg = f"no questions of {', '.join(datasets)} in train: nothing is measured"
        raise DataMissingError(msg)
    fitted = [row for row in every if not is_validation(row)]
    if split == "validation":
        return fitted, [row for row in every if is_validation(row)], False
    if split == "train":
        return fitted, fitted, True
    other = rows(source.folder(split), datasets)
    if not other:
        msg = f"no questions of {', '.join(datasets)} in {split!r}: nothing is measured"
        raise DataMissingError(msg)
    return every, other, False


def halves(source: Source, pool: str, split: str, effort: Effort) -> Halves:
    """Fit a pool's first level, and apply it."""
    spec = source.pools[pool]
    tiers = spec["tiers"]
    fitted, other, is_same = split_rows(source, split, spec["datasets"])
    complete, partial = batches(fitted, tiers)
    train = held_out_material(complete, partial, tiers, effort.epochs)
    if is_same:
        return Halves(pool, split, train, train, is_same=True, every=train)
    models = all_learned(complete, partial, tiers, effort.epochs)
    every = applied_material(batches(other, tiers)[0], tiers, models, train.domains)
    known = {row.kind for row in complete}
    is_seen = np.array([row.kind in known for row in every.rows])
    if not is_seen.any():
        msg = f"no question of {split!r} is of a domain of train: see --pool unseen"
        raise DataMissingError(msg)
    if is_seen.all():
        return Halves(pool, split, train, every, is_same=False, every=every)
    by_domain = held_out_material(complete, partial, tiers, effort.epochs, domain_folds(complete))
    return Halves(pool, split, train, every.picked(is_seen), is_same=False, every=every, by_domain=by_domain)


def pool_study(source: Source, pool: str, split: str, *, is_fast: bool = False) -> list[dict[str, Any]]:
    """Return one line a policy."""
    effort = Effort.of(is_fast=is_fast)
    return policy_lines(halves(source, pool, split, effort), WANTED[pool], effort)


def policy_lines(of: Halves, wanted: float, effort: Effort) -> list[dict[str, Any]]:
    """Return one line a policy, all of the same rows."""
    outcomes, weights = of.test.outcomes, of.test.weights
    last = outcomes.tiers - 1
    common = {"pool": of.pool, "split": of.split}

    def line(name: str, served: Served, **more: Any) -> dict[str, Any]:
        return {**common, "policy": name, **report(served, outcomes, of.best, weights), **more}

    chosen = of.chosen(wanted)
    lines = [
        line("always_small", always(outcomes, 0), calibration=_calibration(of)),
        line("always_large", always(outcomes, last)),
        line("random_mix", mixed(outcomes, of.served(chosen, wanted).shares[last])),
        line("oracle", of.best.served, ideal_saving=round(of.best.saving, 4)),
    ]
    for kind in KINDS:
        points = {name: report(of.served(kind, ratio), outcomes, of.best, weights) for name, ratio in POINTS.items()}
        lines.append(
            line(
                kind,
                of.served(kind, wanted),
                is_chosen=kind == chosen,
                wanted_ratio=wanted,
                prices=of.curves[kind].mix_for(wanted),
                operating_points=points,
                **_curves(of, kind),
            )
        )
    return [*lines, {**common, "policy": "adaptive", **_adaptive_figures(of, chosen, wanted, effort)}]


def _adaptive_figures(of: Halves, kind: PolicyKind, wanted: float, effort: Effort) -> dict[str, Any]:
    """Return the figures over all rows; where some are of unseen domains, also those of either part."""
    every = of.every
    served = adaptive(of, kind, wanted, effort)
    found = report(served, every.outcomes, ideal(every.outcomes, every.weights), every.weights)
    if of.by_domain is not None:
        known = {row.kind for row in of.train.rows}
        is_seen = np.array([row.kind in known for row in every.rows])
        for name, which in (("seen_domains", is_seen), ("unseen_domains", ~is_seen)):
            part = every.picked(which)
            own = Served(served.quality[which], served.cost_usd[which], served.by_tier[which])
            found[name] = report(own, part.outcomes, ideal(part.outcomes, part.weights), part.weights)
    return {**found, "wanted_ratio": wanted, "base": kind}


def adaptive(of: Halves, kind: PolicyKind, wanted: float, effort: Effort) -> Served:
    """Return what a stream of the same rows comes to, in random order, with the domain guard on."""
    price = of.curves[kind].price_for(wanted)
    fitted = Fitted.of(policy(of.train, price, kind), of.every.features)
    unknown = fitted
    if of.by_domain is not None:
        ends = (0, of.every.outcomes.tiers - 1)
        unknown = Fitted.of(cautious_policy(of.by_domain, CAUTIOUS), answers_alone(of.every), ends)
    usual = usual_words_of(of.train)
    runs = [
        stream(of.every, fitted, unknown, usual, np.random.default_rng(seed), GuardOptions())
        for seed in range(effort.runs)
    ]
    back = [np.argsort(run.order) for run in runs]
    tier = np.stack([run.tier[at] for run, at in zip(runs, back, strict=True)])
    return Served(
        np.mean([run.quality[at] for run, at in zip(runs, back, strict=True)], axis=0),
        np.mean([run.cost_usd[at] for run, at in zip(runs, back, strict=True)], axis=0),
        np.eye(of.every.outcomes.tiers)[tier].mean(axis=0),
    )


def _served(replayed: Replay, column: int, material: Material) -> Served:
    return served_by(
        replayed.tier[:, column], replayed.quality[:, column], replayed.cost_usd[:, column], material.outcomes.tiers
    )


def _curves(of: Halves, kind: PolicyKind) -> dict[str, Any]:
    """Return (saving, ratio) of many prices on the split, and what the best price in hindsight saves at some ratios."""
    source = of.curves[kind]
    if of.is_same:
        points = source.points
    else:
        pairs = [
            _served(replay(policy(of.train, price, kind), of.test.features, of.test.outcomes), 0, of.test)
            for price in source.prices[::5]
        ]
        points = [_point(each, of.test.outcomes, of.test.weights) for each in pairs]
    return {
        "hindsight_savings": {str(ratio): saving_at(points, ratio) for ratio in _HINDSIGHT},
        "curve": [[round(saving, 4), round(ratio, 4)] for saving, ratio in points],
    }


def _point(served: Served, outcomes: Outcomes, weights: Floats) -> tuple[float, float]:
    large = always(outcomes, outcomes.tiers - 1)
    saving = 1.0 - float(weights @ served.cost_usd) / float(weights @ large.cost_usd)
    return saving, float(weights @ served.quality) / float(weights @ large.quality)


def _calibration(of: Halves) -> dict[str, float]:
    """Return how far probabilities that the small answer is right are from shares, as log-odds give them and calibrated
    on fitted rows, which their models had not seen either; what chance shows where they are exactly right; and how well
    they tell right from wrong."""
    log_odds, own = (np.array([each.answers[0][0] for each in part.seen]) for part in (of.test, of.train))
    right, own_right = of.test.outcomes.scores[:, 0], of.train.outcomes.scores[:, 0]
    raw: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    if of.is_same:
        said = np.zeros(len(raw))
        for fold in np.unique(of.train.folds):
            is_asked = of.train.folds == fold
            calibration = fitted_calibration(own[~is_asked], own_right[~is_asked])
            said[is_asked] = calibration.probability(log_odds[is_asked])
    else:
        said = fitted_calibration(own, own_right).probability(log_odds)
    usual, most = error_by_chance(said, np.random.default_rng(SEED))
    return {
        "auroc": round(auroc(log_odds, right), 4),
        "error_of_log_odds": round(calibration_error(raw, right), 4),
        "error": round(calibration_error(said, right), 4),
        "error_by_chance": usual,
        "error_by_chance_95": most,
    }
