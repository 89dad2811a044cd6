"""What a recorded workload would have come to: by hand, and against worlds whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from streamroute.core.routing.off_policy import Evaluation, Interval, Replayed, evaluate

ROW = Replayed(
    is_same=True,
    tier="0",
    recorded_tier="0",
    cost_usd=1.0,
    recorded_cost_usd=1.0,
    estimate=0.5,
    recorded_estimate=0.5,
    score=None,
)


def test_the_same_decisions_come_to_the_same() -> None:
    """Whatever estimates say: cost and quality are those that were."""
    rows = [
        replace(ROW, score=score, seen=score, estimate=0.9, recorded_estimate=0.9) for score in (1.0, 0.0, 1.0, 1.0)
    ]
    found = evaluate(rows)
    assert found.quality is not None
    assert found.recorded_quality is not None
    assert found.quality.value == found.recorded_quality.value == pytest.approx(0.75)
    assert found.judged_quality is not None
    assert found.judged_quality.value == 0.75
    assert found.saved is not None
    assert (found.saved.value, found.same, found.seen, found.effective) == (0.0, 4, 4, 4.0)


def test_the_same_decisions_gain_nothing() -> None:
    """Also where half of the answers were judged, and these were of requests that were expected to go worse."""
    rows = [replace(ROW, estimate=0.7 + 0.02 * i, recorded_estimate=0.7 + 0.02 * i) for i in range(10)]
    rows = [
        replace(row, score=0.8, seen=0.8, weight=2.0, seen_weight=2.0) if i < 5 else row for i, row in enumerate(rows)
    ]
    found = evaluate(rows)
    assert found.gained == Interval(0.0, 0.0, 0.0)
    assert found.recorded_quality == found.quality
    assert found.quality is not None
    assert found.quality.value == pytest.approx(0.79 + (0.8 - 0.74))
    assert found.judged_quality is not None
    assert found.judged_quality.value == pytest.approx(0.8)


def test_by_hand() -> None:
    """Two requests go elsewhere, of estimate .8; of two that stay one is judged .5 above its estimate of .4, with a
    chance of one half, and one .1 below, with certainty: (2 * .5 - .1) / 3 is added. An audit of one that goes
    elsewhere counts as well."""
    stay = [
        replace(ROW, score=0.9, seen=0.9, seen_weight=2.0, estimate=0.4),
        replace(ROW, score=0.3, seen=0.3, estimate=0.4),
    ]
    move = [replace(ROW, is_same=False, tier="1", estimate=0.8, cost_usd=3.0, score=1.0)] * 2
    found = evaluate([*stay, *move])
    assert found.quality is not None
    assert found.quality.value == pytest.approx(0.6 + (2 * 0.5 - 0.1) / 3)
    assert found.cost_usd is not None
    assert (found.cost_usd.value, found.shares["1"].value, found.recorded_shares["0"].value) == (2.0, 0.5, 1.0)
    assert found.effective == pytest.approx(9 / 5)
    audited = evaluate([*stay, move[0], replace(move[1], seen=0.7, seen_weight=5.0)])
    assert audited.quality is not None
    assert audited.quality.value == pytest.approx(0.6 + (2 * 0.5 - 0.1 - 5 * 0.1) / 8)
    assert (audited.seen, audited.judged) == (3, 4)


def test_what_is_not_known() -> None:
    """No prices: no cost. No judged answers: the estimates alone; neither: no quality. Costs are compared over the same
    requests."""
    found = evaluate([replace(ROW, cost_usd=None, score=None)])
    assert found.cost_usd is found.saved is found.judged_quality is None
    assert found.quality is not None
    assert found.quality.value == 0.5
    assert found.gained == Interval(0.0, 0.0, 0.0)
    nothing = evaluate([replace(ROW, estimate=None, recorded_estimate=None)])
    assert nothing.quality is nothing.recorded_quality is nothing.gained is None
    found = evaluate([ROW, replace(ROW, recorded_cost_usd=9.0, cost_usd=None)])
    assert found.recorded_cost_usd is not None
    assert found.recorded_cost_usd.value == 1.0
    with pytest.raises(ValueError, match="no request"):
        evaluate([])


def world(seed: int, *, estimates: bool) -> tuple[Evaluation, float, float]:
    """Requests drawn to one of two models with known chances, that would all go to the second; return the evaluation,
    the truth, and what is truly gained. The second is better on hard requests, which went to it more often; estimates
    are off by .1 of the second and .05 of the first; easy requests are judged three times as often as hard ones."""
    draw = np.random.default_rng(seed)
    rows, truth, gained = [], 0.0, 0.0
    for _ in range(1500):
        is_hard = bool(draw.random() < 0.5)
        chance_of_two = 0.8 if is_hard else 0.3
        quality = (0.3, 0.7) if is_hard else (0.8, 0.9)
        went = int(draw.random() < chance_of_two)
        truth += quality[1]
        gained += quality[1] - quality[went]
        chance = chance_of_two if went else 1 - chance_of_two
        judged = 0.25 if is_hard else 0.75
        score = float(draw.random() < quality[went]) if draw.random() < judged else None
        expected = (quality[0] + 0.05, quality[1] - 0.1)
        row = replace(
            ROW,
            is_same=went == 1,
            score=score,
            weight=1.0 if score is None else 1.0 / judged,
            estimate=expected[1] if estimates else None,
            recorded_estimate=expected[went] if estimates else None,
        )
        rows.append(replace(row, seen=score, seen_weight=row.weight / chance) if went else row)
    return evaluate(rows, resamples=200), truth / len(rows), gained / len(rows)


@pytest.mark.parametrize("estimates", [True, False])
def test_the_truth_is_found(estimates: bool) -> None:
    """With biased estimates, and with none: without bias over many worlds, and nearly always within the interval. The
    mean of those that went there is off, because hard requests did. So is what is gained."""
    errors, inside = [], 0
    of_gains, gains_inside = [], 0
    for seed in range(20):
        found, truth, gained = world(seed, estimates=estimates)
        assert found.quality is not None
        assert found.gained is not None
        errors.append(found.quality.value - truth)
        of_gains.append(found.gained.value - gained)
        inside += found.quality.low <= truth <= found.quality.high
        gains_inside += found.gained.low <= gained <= found.gained.high
    assert abs(np.mean(errors)) < 0.012
    assert abs(np.mean(of_gains)) < 0.012
    assert inside >= 16
    assert gains_inside >= 16
