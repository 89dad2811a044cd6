"""The protocol of RouteLLM (arXiv 2406.18665): a weak and a strong model, and a score that ranks questions.

The subject of a question is one more word of it, as everywhere here; `question_alone` is without.
What counts is the share of calls that go to the strong model, not money: APGR, CPT(50 %), CPT(80 %).
"""

from typing import Any

from routing_lab.data import Source
from routing_lab.effort import Effort
from routing_lab.metrics import call_share_metrics
from routing_lab.pair import held_out_scores, scores_of
from routing_lab.pool_study import split_rows
from streamroute.core.routing.learned.first_level import batches, outcome_arrays

POOL = "R"
DATASET = "routellm_mmlu"
PUBLISHED = {"apgr": 0.603, "cpt50": 0.354, "cpt80": 0.703}
"""The best that the paper reports on MMLU, with about 1,500 labelled rows of it."""


def call_share_study(source: Source, split: str, *, is_fast: bool = False) -> list[dict[str, Any]]:
    """Return one line."""
    effort = Effort.of(is_fast=is_fast)
    tiers = source.pools[POOL]["tiers"]
    fitted, other, is_same = split_rows(source, split, [DATASET])
    train = batches(fitted, tiers)[0]
    test = batches(other, tiers)[0]
    scores, alone = (
        held_out_scores(train, tiers, effort, with_domain=with_domain)
        if is_same
        else scores_of(train, test, tiers, effort, with_domain=with_domain)
        for with_domain in (True, False)
    )
    weak, strong = next(outcome_arrays(test, tiers)).T
    return [
        {
            "pool": "routellm",
            "split": split,
            "policy": "router",
            "n": len(test),
            "n_fitted": len(train),
            **call_share_metrics(scores, weak, strong),
            "question_alone": call_share_metrics(alone, weak, strong),
            "best_published": PUBLISHED,
        }
    ]
