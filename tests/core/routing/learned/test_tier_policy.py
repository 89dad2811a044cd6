"""Whom to ask, and when to stop: small worlds whose best policy is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from streamroute.core.routing.learned.stage import Stage
from streamroute.core.routing.learned.tier_policy import (
    Move,
    Outcomes,
    PolicyKind,
    fit,
    moves,
    policy_stages,
    replay,
    replay_held_out,
)

Floats = NDArray[np.float64]

MANY = 1_200
FOLDS = np.arange(MANY) % 5
IS_HARD = np.arange(MANY) % 3 == 0
"""A third: there the small model fails, the large one does not."""
OUTCOMES = Outcomes(scores=np.stack([1.0 - IS_HARD, np.ones(MANY)], axis=1), costs_usd=np.tile([0.1, 1.0], (MANY, 1)))
BLIND = np.zeros((MANY, 1))
SIGHTED = IS_HARD[:, None].astype(np.float64)


def world(question: Floats, answer: Floats) -> dict[Stage, Floats]:
    return {(): question, (0,): answer}


def test_moves_go_up() -> None:
    """Deliver what is there, or ask a larger tier; a cascade has no choice at first."""
    assert moves((), 3) == [Move("ask", 0), Move("ask", 1), Move("ask", 2)]
    assert moves((), 3, "cascade") == [Move("ask", 0)]
    assert moves((1,), 3) == [Move("deliver", 1), Move("ask", 2)]
    assert policy_stages(3, "router") == [()]
    assert policy_stages(3, "cascade") == [(0, 1), (0,), ()]
    assert policy_stages(3, "hybrid") == [(0, 1), (0,), (1,), ()]


@pytest.mark.parametrize(
    ("kind", "question", "answer", "quality", "cost"),
    [
        ("router", SIGHTED, BLIND, 1.0, 2 / 3 * 0.1 + 1 / 3 * 1.0),
        ("cascade", BLIND, SIGHTED, 1.0, 0.1 + 1 / 3 * 1.0),
        ("hybrid", SIGHTED, BLIND, 1.0, 2 / 3 * 0.1 + 1 / 3 * 1.0),
        ("hybrid", BLIND, SIGHTED, 1.0, 0.1 + 1 / 3 * 1.0),
        ("router", BLIND, SIGHTED, 1.0, 1.0),
    ],
)
def test_the_best_policy_is_found(
    kind: PolicyKind, question: Floats, answer: Floats, quality: float, cost: float
) -> None:
    """Who sees before asking asks one; who sees only the answer pays for the attempt; who sees nothing asks the large
    model, as a point of quality is worth three dollars here."""
    features = world(question, answer)
    policy = fit(features, OUTCOMES, 1 / 3, FOLDS, kind=kind)
    found = replay(policy, features, OUTCOMES)
    assert found.quality.mean() == pytest.approx(quality)
    assert found.cost_usd.mean() == pytest.approx(cost)


def test_nothing_is_worth_more_than_quality_costs() -> None:
    """At a high price the small model's answer is kept, right or wrong."""
    features = world(SIGHTED, SIGHTED)
    found = replay(fit(features, OUTCOMES, 100.0, FOLDS), features, OUTCOMES)
    assert found.cost_usd.mean() == pytest.approx(0.1)
    assert found.tier.max() == 0


def test_held_out_replays_do_not_flatter() -> None:
    """Features that are noise promise nothing on rows that were not fitted on: quality stays that of one model."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(MANY, 30))
    scores = (rng.random((MANY, 2)) < 0.7).astype(np.float64)
    outcomes = Outcomes(scores=scores, costs_usd=np.tile([1.0, 1.0], (MANY, 1)))
    features = world(noise, noise)
    held_out = replay_held_out(features, outcomes, np.array([0.0, 0.1]), FOLDS, kind="router", penalty=1.0)
    own = replay(fit(features, outcomes, 0.0, FOLDS, kind="router", penalty=1.0), features, outcomes)
    assert held_out.quality.shape == (MANY, 2)
    assert held_out.quality[:, 0].mean() == pytest.approx(0.7, abs=0.03)
    assert own.quality.mean() > held_out.quality[:, 0].mean() + 0.02


def test_caution_asks_the_large_model() -> None:
    """What is added to its utility is quality that accepting would have to be better by."""
    features = world(BLIND, SIGHTED)
    policy = fit(features, OUTCOMES, 1 / 3, FOLDS, kind="cascade", penalty=1e-3)
    easy = np.array([0.0])
    assert policy.choose((0,), easy) == Move("deliver", 0)
    assert policy.choose((0,), easy, caution=0.3) == Move("deliver", 0)
    assert policy.choose((0,), easy, caution=0.4) == Move("ask", 1)
    assert policy.choose((), np.array([0.0]), caution=0.4) == Move("ask", 0)


def test_gain_is_learned_not_correctness() -> None:
    """Where the large model fails too, a wrong answer is kept: asking would only cost."""
    is_hopeless = np.arange(MANY) % 3 == 1
    scores = np.stack([1.0 - IS_HARD - is_hopeless, 1.0 - is_hopeless], axis=1)
    answer = np.stack([IS_HARD, is_hopeless], axis=1).astype(np.float64)
    outcomes = Outcomes(scores=scores, costs_usd=OUTCOMES.costs_usd)
    features = world(BLIND, answer)
    found = replay(fit(features, outcomes, 1 / 3, FOLDS, kind="cascade"), features, outcomes)
    assert found.tier[:, 0].tolist() == IS_HARD.astype(int).tolist()
