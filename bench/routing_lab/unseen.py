"""Domains that nothing was fitted on: what a fixed threshold loses there, and what audits save.

Whole domains are held out of everything; then their questions come in a stream. The first half is where a domain is
got to know, so it is the second that is reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routing_lab.data import Row, Source, rows
from routing_lab.first_level import batches
from routing_lab.metrics import ideal, report, served_by
from routing_lab.pool_study import WANTED
from routing_lab.stream import Fitted, stream
from routing_lab.study import Effort, all_learned, applied_material, curve, held_out_material, policy
from streamroute.core.routing.learned.domain_guard import GuardOptions
from streamroute.core.routing.learned.tier_policy import PolicyKind, replay

POOL = "A2"
KIND: PolicyKind = "cascade"
"""What the question alone tells does not carry over to other domains; what the answer shows does."""
HELD_OUT = (("law", "philosophy"), ("physics", "health"), ("chemistry", "psychology"))
"""Domains that are held out together, where the split has none of its own: hard ones beside easy ones."""
ANY = "mmlu_pro"


@dataclass(frozen=True, slots=True)
class Case:
    """Domains that are new, and the rows on either side."""

    name: str
    known: Sequence[Row]
    new: Sequence[Row]


def unseen_study(source: Source, split: str, *, is_fast: bool = False) -> list[dict[str, Any]]:
    """Return two lines a case: a fixed threshold, and the guarded one."""
    effort = Effort.of(is_fast=is_fast)
    return [line for case in cases(source, split) for line in _lines(source, case, split, effort)]


def cases(source: Source, split: str) -> list[Case]:
    """Return the domains of the split that `train` has not; where there are none, some of `train` in turn."""
    spec = source.pools[POOL]
    train = batches(rows(source.folder("train"), spec["datasets"]), spec["tiers"])[0]
    if split not in {"train", "validation"}:
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
    train = held_out_material(case.known, [], tiers, effort, _by_domain(case.known))
    test = applied_material(case.new, tiers, all_learned(case.known, [], tiers, effort), train.domains)
    price = curve(train, KIND).price_for(WANTED[POOL])
    fitted = Fitted.of(policy(train, price, KIND), price, test.features)
    best = ideal(test.outcomes, test.weights)
    fixed = replay(fitted.policy, test.features, test.outcomes)
    common = {"pool": "unseen", "split": split, "domains": case.name}
    served = served_by(fixed.tier[:, 0], fixed.quality[:, 0], fixed.cost_usd[:, 0], len(tiers))
    lines = [{**common, "policy": KIND, **report(served, test.outcomes, best, test.weights)}]
    halves = []
    for seed in range(effort.runs):
        run = stream(test, fitted, fitted, set(), np.random.default_rng(seed), GuardOptions())
        half = len(run.order) // 2
        order = run.order[half:]
        large = test.outcomes.scores[order, -1].mean(), test.outcomes.costs_usd[order, -1].mean()
        halves.append((run.quality[half:].mean() / large[0], 1.0 - run.cost_usd[half:].mean() / large[1]))
    mean, spread = np.mean(halves, axis=0), np.std(halves, axis=0)
    lines.append(
        {
            **common,
            "policy": "adaptive",
            "n": len(test.rows) - len(test.rows) // 2,
            "quality_ratio": round(float(mean[0]), 4),
            "quality_ratio_ci": [round(float(mean[0] + sign * 1.96 * spread[0]), 4) for sign in (-1, 1)],
            "saving": round(float(mean[1]), 4),
            "quality_ratio_by_run": [round(float(each[0]), 4) for each in halves],
            "saving_by_run": [round(float(each[1]), 4) for each in halves],
            "quality": None,
            "tier_shares": [],
            "oracle_tier_shares": [round(float(each), 4) for each in best.served.shares],
            "efficiency": round(float(mean[1]) / best.saving, 4) if best.saving > 0 else None,
        }
    )
    return lines


def _by_domain(known: Sequence[Row]) -> NDArray[np.intp]:
    """Return a number a row: domains are dealt to few groups, so that whole ones are held out together."""
    kinds = sorted({row.kind for row in known})
    return np.array([kinds.index(row.kind) % 5 for row in known], np.intp)
