"""The study that serves recorded questions as the sidecar does."""

from pathlib import Path

import pytest
from routing_lab.data import DataMissingError, Source, rows
from routing_lab.walked import walked_study

from streamroute.core.quality.checks import assess
from streamroute.core.quality.verdict import Wanted
from streamroute.core.routing.learned.first_level import prepare, seen
from streamroute.core.routing.learned.policy_fit import as_held, fit_policy
from streamroute.core.routing.learned.policy_walk import PolicyWalk
from streamroute.core.routing.learned.stage import Stage, features
from tests.bench.test_routing_lab import write
from tests.support.corpus import shared_data


def test_a_walk_of_recorded_questions_decides_as_the_study(tmp_path: Path) -> None:
    """On real questions and answers, every stage: the walk of a request and the policy asked with the features of the
    fit come to the same."""
    source = Source(shared_data("routing"))
    tiers = source.pools["A2"]["tiers"]
    known = rows(source.folder("train"), ["ze_gsm", "ze_math_l5"])
    fitted = fit_policy(known, [[name] for name in tiers], 0.99, "p.npz", epochs=1).fitted
    for row in known[:120]:
        if not row.is_complete(tiers):
            continue
        held = as_held(row, tiers[:-1])
        [ready] = prepare([held], tiers)
        at, walk = seen(ready, fitted.models), PolicyWalk(fitted, row.text, row.kind)
        stages: list[Stage] = [(), (0,), (0, 1)]
        for stage in stages:
            if stage:
                draft = held.outcomes[tiers[stage[-1]]].draft
                assert draft is not None
                walk.heard(stage[-1], draft, Wanted(), assess(draft, Wanted()))
            wanted = fitted.policy.choose(stage, features(at, stage, fitted.domains))
            unusable = wanted is not None and wanted.kind == "deliver" and wanted.tier in walk.unusable
            assert unusable or walk.choose({0, 1, 2}).move == wanted


def test_a_study_of_walks(tmp_path: Path) -> None:
    """One line with figures as a policy has, and what was expected; what is fitted on is not measured."""
    (tmp_path / "pools.json").write_text('{"A2": {"tiers": ["small", "middle", "large"], "datasets": ["mmlu_pro"]}}')
    write(tmp_path / "train", "mmlu_pro", ["alpha", "beta"], 480, seed=1)
    source = Source(tmp_path)
    [line] = walked_study(source, "validation", is_fast=True)
    assert (line["pool"], line["n"] > 80, line["n_fitted"] > 300) == ("walked", True, True)
    assert line["saving"] == pytest.approx(line["expected"]["saving"], abs=0.15)
    assert line["quality_ratio"] > 0.9
    with pytest.raises(DataMissingError, match="fitted on"):
        walked_study(source, "train")
    write(tmp_path / "few" / "train", "mmlu_pro", ["alpha"], 60, seed=1)
    (tmp_path / "few" / "pools.json").write_text((tmp_path / "pools.json").read_text())
    with pytest.raises(DataMissingError, match="200 are the least"):
        walked_study(Source(tmp_path / "few"), "validation")
