"""What a policy of `streamroute routing fit` comes to where requests are served by it as the sidecar serves them.

Answers are read from their text alone, in the fit and afterwards, where `--pool A2` goes by what was recorded of them
(conclusions as the data set reads them); one price, no mix of two. Every row of the split is walked: where to begin,
and after each answer whether to deliver it or an earlier one, or whom to ask.
"""

from typing import Any

import numpy as np

from routing_lab.data import DataMissingError, Source
from routing_lab.effort import Effort
from routing_lab.metrics import ideal, report
from routing_lab.pool_study import KEPT, split_rows
from streamroute.core.quality.checks import assess
from streamroute.core.quality.verdict import Wanted
from streamroute.core.routing.learned.first_level import batches, outcome_arrays
from streamroute.core.routing.learned.outcome_rows import Row
from streamroute.core.routing.learned.policy_fit import FitError, as_held, fit_policy
from streamroute.core.routing.learned.policy_walk import PolicyWalk
from streamroute.core.routing.learned.served import served_by
from streamroute.core.routing.learned.tier_policy import Outcomes

NAME = "walked"
POOL = "A2"


def walked_study(source: Source, split: str, *, is_fast: bool = False) -> list[dict[str, Any]]:
    """Return one line; DataMissingError: there is nothing to fit on, or to walk."""
    spec = source.pools[POOL]
    tiers = spec["tiers"]
    known, other, is_same = split_rows(source, split, spec["datasets"])
    if is_same:
        msg = f"{split!r} is what is fitted on: nothing is measured"
        raise DataMissingError(msg)
    try:
        fit = fit_policy(known, [[name] for name in tiers], KEPT[POOL], NAME, Effort.of(is_fast=is_fast).epochs)
    except FitError as error:
        raise DataMissingError(str(error)) from None
    asked = [as_held(row, tiers[:-1]) for row in batches(other, tiers)[0]]
    scores, costs = outcome_arrays(asked, tiers)
    outcomes, weights = Outcomes(scores=scores, costs_usd=costs), np.ones(len(asked))
    ways = [walk(PolicyWalk(fit.fitted, row.text, row.kind), row, tiers) for row in asked]
    tier = np.array([answered for answered, _ in ways])
    at = np.arange(len(asked))
    cost = np.array([sum(costs[row, each] for each in paid) for row, (_, paid) in enumerate(ways)])
    served = served_by(tier, scores[at, tier], cost, len(tiers))
    expected = fit.expected[fit.fitted.policy.kind]
    return [
        {
            "pool": NAME,
            "split": split,
            "policy": fit.fitted.policy.kind,
            **report(served, outcomes, ideal(outcomes, weights), weights),
            "n_fitted": fit.rows,
            "expected": {"saving": round(expected.saving, 4), "quality_ratio": round(expected.quality_ratio, 4)},
        }
    ]


def walk(way: PolicyWalk, row: Row, tiers: list[str]) -> tuple[int, list[int]]:
    """Return whose answer is delivered, and who was asked."""
    last, asked = len(tiers) - 1, [-1]
    while True:
        move = way.choose(range(asked[-1] + 1, last + 1)).move
        if move is None or move.kind == "deliver" or move.tier == last:
            delivered = last if move is None else move.tier
            return delivered, asked[1:] + [last] * (delivered == last)
        asked.append(move.tier)
        draft = row.outcomes[tiers[move.tier]].draft
        if draft is None:
            raise ValueError("a row must be read as it is held")
        way.heard(move.tier, draft, Wanted(), assess(draft, Wanted()))
