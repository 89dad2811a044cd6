"""Domains that nothing was fitted on: what a fixed threshold loses there, and what audits save.

Whole domains are held out of everything; then their questions come in a stream. The first half is where a domain is
got to know, so it is the second that is reported. `leave_one_out` lines are the same for each domain of `train` alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from routing_lab.data import Source, rows
from routing_lab.effort import Effort
from routing_lab.metrics import Ideal, ideal, report
from routing_lab.pool_study import CAUTIOUS, WANTED
from routing_lab.stream import Fitted, stream
from streamroute.core.routing.learned.domain_drift import UsualWords, usual_words
from streamroute.core.routing.learned.domain_guard import GuardOptions
from streamroute.core.routing.learned.first_level import batches
from streamroute.core.routing.learned.fitting import (
    Material,
    all_learned,
    answers_alone,
    applied_material,
    cautious_policy,
    curve,
    domain_folds,
    held_out_material,
    policy,
)
from streamroute.core.routing.learned.outcome_rows import Row
from streamroute.core.routing.learned.served import served_by
from streamroute.core.routing.learned.tier_policy import PolicyKind, replay

NAME = "unseen"
POOL = "A2"
KIND: PolicyKind = "cascade"
"""With its price fixed, to compare with."""
MISTAKEN = ("adaptive, taken for known", "adaptive, taken for known, words watched")
"""Domains that are served as if they had been fitted on: a known one that has changed its kind."""
HELD_OUT = (("law", "philosophy"), ("physics", "health"), ("chemistry", "psychology"))
"""Domains that are held out together, where the split has none of its own: hard ones beside easy ones."""
ANY = "mmlu_pro"
OWN_SPLITS = ("train", "validation")
_FEWEST = 200
"""Questions of a domain that is left out: half of them are reported."""


@dataclass(frozen=True, slots=True)
class Case:
    """Domains that are new, and the rows on either side."""

    name: str
    known: Sequence[Row]
    new: Sequence[Row]


def unseen_study(source: Source, split: str, *, is_fast: bool = False) -> list[dict[str, Any]]:
    """Return four lines a case: a fixed threshold, the guarded one, and that where a domain is taken for a known one,
    without and with an eye on its words."""
    effort = Effort.of(is_fast=is_fast)
    lines = [line for case in cases(source, split) for line in _lines(source, case, split, effort)]
    return lines if split not in OWN_SPLITS else [*lines, *_leave_one_out(source, split, effort)]


def cases(source: Source, split: str) -> list[Case]:
    """Return the domains of the split that `train` has not; where there are none, some of `train` in turn."""
    spec = source.pools[POOL]
    train = batches(rows(source.folder("train"), spec["datasets"]), spec["tiers"])[0]
    if split not in OWN_SPLITS:
        seen = {row.kind for row in train}
        other = batches(rows(source.folder(split), spec["datasets"]), spec["tiers"])[0]
        new = [row for row in other if row.kind not in seen]
        if new:
            return [Case("+".join(sorted({row.domain for row in new})), train, new)]
        train_and_other = (train, other)
    else:
        train_and_other = (train, train)
    return [
        Case(
            "+".join(names),
            [row for row in train_and_other[0] if not _is_held_out(row, names)],
            [row for row in train_and_other[1] if _is_held_out(row, names)],
        )
        for names in HELD_OUT
    ]


def _is_held_out(row: Row, names: Sequence[str]) -> bool:
    return row.dataset == ANY and row.domain in names


def _lines(source: Source, case: Case, split: str, effort: Effort) -> list[dict[str, Any]]:
    tiers = source.pools[POOL]["tiers"]
    if not case.new or not case.known:
        return []
    train = held_out_material(case.known, [], tiers, effort.epochs)
    by_domain = held_out_material(case.known, [], tiers, effort.epochs, domain_folds(case.known))
    test = applied_material(case.new, tiers, all_learned(case.known, [], tiers, effort.epochs), train.domains)
    common = {"pool": NAME, "split": split, "domains": case.name}
    best = ideal(test.outcomes, test.weights)
    known = policy(train, curve(train, KIND).price_for(WANTED[POOL]), KIND)
    fixed = replay(known, test.features, test.outcomes)
    served = served_by(fixed.tier[:, 0], fixed.quality[:, 0], fixed.cost_usd[:, 0], len(tiers))
    ends = (0, len(tiers) - 1)
    guarded = Fitted.of(cautious_policy(by_domain, CAUTIOUS), answers_alone(test), ends)
    as_known = Fitted.of(known, test.features)
    return [
        {**common, "policy": KIND, **report(served, test.outcomes, best, test.weights)},
        {**common, "policy": "adaptive", **guarded_figures(test, guarded, guarded, {}, best, effort)},
        *(
            {
                **common,
                "policy": name,
                **guarded_figures(test, as_known, guarded, usual, best, effort),
            }
            for name, usual in _mistaken(train, test).items()
        ),
    ]


def _mistaken(train: Material, test: Material) -> dict[str, dict[str, UsualWords]]:
    """Return what the domains of `test` are taken for, by whether their words are watched: for such that were fitted
    on, of which nothing more is known than what is usual over all."""
    shares = np.array([each.unknown_share for each in train.seen], np.float64)
    over_all = usual_words([""] * len(shares), shares)[""]
    kinds = {row.kind for row in test.rows}
    return {
        MISTAKEN[0]: dict.fromkeys(kinds, UsualWords(1.0, 1.0)),
        MISTAKEN[1]: dict.fromkeys(kinds, over_all),
    }


def _leave_one_out(source: Source, split: str, effort: Effort) -> list[dict[str, Any]]:
    """Return a line for each domain, served by what the others teach; its models have not seen a fifth of the domains,
    it among them."""
    spec = source.pools[POOL]
    tiers = spec["tiers"]
    every = batches(rows(source.folder("train"), spec["datasets"]), tiers)[0]
    material = held_out_material(every, [], tiers, effort.epochs, domain_folds(every))
    counts = Counter(row.kind for row in every)
    lines = []
    for kind in sorted(name for name, many in counts.items() if many >= _FEWEST):
        is_own = np.array([row.kind == kind for row in every])
        if is_own.all():
            continue
        known, new = material.picked(~is_own), material.picked(is_own)
        guarded = Fitted.of(cautious_policy(known, CAUTIOUS), answers_alone(new), (0, len(tiers) - 1))
        figures = guarded_figures(new, guarded, guarded, {}, ideal(new.outcomes, new.weights), effort)
        about = {"pool": NAME, "split": split, "domains": kind, "policy": "adaptive", "leave_one_out": True}
        lines.append({**about, **figures})
    return lines


def guarded_figures(
    test: Material, known: Fitted, unknown: Fitted, usual: Mapping[str, UsualWords], best: Ideal, effort: Effort
) -> dict[str, Any]:
    """Return the figures of the second half of a stream: mean of several orders. Domains that are not among `usual`
    are unknown."""
    runs, outcomes = [], test.outcomes
    large, large_usd = outcomes.scores[:, -1], outcomes.costs_usd[:, -1]
    for seed in range(effort.runs):
        run = stream(test, known, unknown, usual, np.random.default_rng(seed), GuardOptions())
        half = len(run.order) // 2
        late = run.order[half:]
        shares = np.bincount(run.tier[half:], minlength=outcomes.tiers) / len(late)
        whole = run.quality.mean() / large.mean(), 1.0 - run.cost_usd.mean() / large_usd.mean()
        ratio = run.quality[half:].mean() / large[late].mean()
        saving = 1.0 - run.cost_usd[half:].mean() / large_usd[late].mean()
        runs.append((ratio, saving, run.quality[half:].mean(), *whole, *shares))
    mean = np.mean(runs, axis=0).round(4).tolist()
    return {
        "n": len(test.rows) - len(test.rows) // 2,
        "quality": mean[2],
        "quality_ratio": mean[0],
        "quality_ratio_ci": [round(min(run[0] for run in runs), 4), round(max(run[0] for run in runs), 4)],
        "saving": mean[1],
        "tier_shares": mean[5:],
        "oracle_tier_shares": [round(float(each), 4) for each in best.served.shares],
        "efficiency": round(mean[1] / best.saving, 4) if best.saving > 0 else None,
        "part": "second half of the stream; the interval is the lowest and the highest of the runs",
        "runs": len(runs),
        "whole_stream": {"quality_ratio": mean[3], "saving": mean[4]},
    }
