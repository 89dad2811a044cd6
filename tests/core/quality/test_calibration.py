"""Probabilities that mean what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.quality.calibration import (
    Calibration,
    LineCalibration,
    calibration_error,
    fitted_calibration,
)


def test_before_it_is_fitted_scores_stay_as_they_are() -> None:
    """Clipped to what a probability can be."""
    assert Calibration().probability(np.array([-1.0, 0.3, 2.0])).tolist() == [0.0, 0.3, 1.0]


def test_no_examples_teach_nothing() -> None:
    """The first fit may come before the first outcome."""
    calibration = Calibration()
    calibration.fit(np.array([]), np.array([]))
    assert calibration.probability(np.array([0.7])).tolist() == [0.7]


def test_it_learns_the_share_of_each_step() -> None:
    """Of answers scored -1 a fifth was right, of those scored 2 four in five: halfway between it is half."""
    scores = np.repeat([-1.0, 2.0], 50)
    outcomes = np.concatenate([np.repeat([1.0, 0.0], [10, 40]), np.repeat([1.0, 0.0], [40, 10])])
    calibration = Calibration()
    calibration.fit(scores, outcomes)
    assert calibration.probability(np.array([-9.0, -1.0, 0.5, 2.0, 9.0])) == pytest.approx([0.2, 0.2, 0.5, 0.8, 0.8])


def test_steps_that_fall_are_pooled() -> None:
    """Higher scores that were right less often are one step with those before them."""
    scores = np.repeat([0.0, 1.0], 50)
    calibration = Calibration()
    calibration.fit(scores, np.repeat([1.0, 0.0], 50))
    assert calibration.probability(np.array([0.0, 1.0])) == pytest.approx([0.5, 0.5])


@given(st.lists(st.tuples(st.floats(-5, 5), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=400))
def test_it_never_falls_and_stays_a_probability(examples: list[tuple[float, float]]) -> None:
    """Whatever it is given."""
    scores, outcomes = np.array(examples).T
    calibration = Calibration()
    calibration.fit(scores, outcomes)
    found = calibration.probability(np.linspace(-6, 6, 50))
    assert (np.diff(found) >= -1e-12).all()
    assert found.min() >= 0.0
    assert found.max() <= 1.0


def test_a_line_begins_as_the_one_that_changes_nothing() -> None:
    """And no examples teach it nothing."""
    calibration = LineCalibration()
    assert calibration.probability(np.array([0.0, np.log(3.0)])) == pytest.approx([0.5, 0.75])
    calibration.fit(np.array([]), np.array([]))
    assert calibration.probability(np.array([0.0, np.log(3.0)])) == pytest.approx([0.5, 0.75])


def test_a_line_finds_what_log_odds_are_worth() -> None:
    """Said 1/10 and 9/10, right a fourth and three fourths of 10,000 each: half the slope, near enough."""
    log_odds = np.repeat([-np.log(9.0), np.log(9.0)], 10_000)
    outcomes = np.concatenate([np.repeat([1.0, 0.0], [2_500, 7_500]), np.repeat([1.0, 0.0], [7_500, 2_500])])
    calibration = LineCalibration()
    calibration.fit(log_odds, outcomes)
    assert calibration.probability(np.log([1 / 9, 9.0])) == pytest.approx([0.25, 0.75], abs=1e-3)


def test_few_examples_move_a_line_little() -> None:
    """Five that were all wrong are no reason to give up on what is said: 3/4 becomes no less than 3/5."""
    calibration = LineCalibration()
    calibration.fit(np.full(5, np.log(3.0)), np.zeros(5))
    assert 0.6 < calibration.probability(np.log([3.0]))[0] < 0.75


def test_a_line_never_falls() -> None:
    """Where higher log-odds were right less often it is level."""
    calibration = LineCalibration()
    calibration.fit(np.repeat([-2.0, 2.0], 500), np.repeat([1.0, 0.0], 500))
    assert np.diff(calibration.probability(np.array([-2.0, 2.0]))) == pytest.approx(0.0)


def test_what_is_chosen_is_what_does_better_on_unseen_examples() -> None:
    """Log-odds that are right need no steps, which chance bends; a map with a jump is no line."""
    rng = np.random.default_rng(3)
    log_odds = rng.normal(0.0, 2.0, 1_000)
    as_said = np.asarray(rng.random(1_000) < 1.0 / (1.0 + np.exp(-log_odds)), np.float64)
    assert isinstance(fitted_calibration(log_odds, as_said), LineCalibration)
    jumps = np.asarray(rng.random(1_000) < np.where(np.abs(log_odds) < 1.0, 0.5, np.where(log_odds > 0, 0.6, 0.05)))
    assert isinstance(fitted_calibration(log_odds, np.asarray(jumps, np.float64)), Calibration)


def test_the_error_is_the_mean_gap_of_bins() -> None:
    """Ten said .9 of whom five were right, ten said .1 of whom one was: (.4 + 0) / 2."""
    probabilities = np.repeat([0.1, 0.9], 10)
    outcomes = np.array([1.0] + 9 * [0.0] + 5 * [1.0] + 5 * [0.0])
    assert calibration_error(probabilities, outcomes, bins=2) == pytest.approx(0.2)


def test_nothing_has_no_error() -> None:
    """Before the first outcome nothing was promised."""
    assert calibration_error(np.array([]), np.array([])) == 0.0
