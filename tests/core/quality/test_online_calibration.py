"""Probabilities corrected while they come in."""

import numpy as np
import pytest

from streamroute.core.quality.calibration import OnlineCalibration, calibration_error


def test_before_it_has_learned_it_changes_nothing() -> None:
    """The identity, but for what is too near to 0 and 1."""
    calibration = OnlineCalibration()
    assert [calibration.probability(each) for each in (0.1, 0.5, 0.9)] == pytest.approx([0.1, 0.5, 0.9])
    assert calibration.probability(0.0) == pytest.approx(1e-4)
    assert calibration.probability(1.0) == pytest.approx(1 - 1e-4)


def test_who_is_too_sure_is_corrected() -> None:
    """What is said has twice the log-odds that it should."""
    rng = np.random.default_rng(3)
    calibration = OnlineCalibration()
    true = 1 / (1 + np.exp(-rng.normal(0.5, 1.0, 4_000)))
    said = 1 / (1 + np.exp(-2 * np.log(true / (1 - true))))
    outcomes = (rng.random(4_000) < true).astype(float)
    corrected = np.zeros(4_000)
    for at in range(4_000):
        corrected[at] = calibration.probability(float(said[at]))
        calibration.learn(float(said[at]), float(outcomes[at]))
    assert calibration_error(said[2_000:], outcomes[2_000:]) > 0.08
    assert calibration_error(corrected[2_000:], outcomes[2_000:]) < 0.03


def test_it_keeps_rising_and_follows_a_change() -> None:
    """All answers turn wrong: what is said becomes small, never in a falling order."""
    calibration = OnlineCalibration()
    for _ in range(500):
        calibration.learn(0.8, 0.0)
        calibration.learn(0.3, 0.0)
    low, high = calibration.probability(0.3), calibration.probability(0.8)
    assert low <= high < 0.1


def test_it_can_be_saved() -> None:
    """Six numbers; others are refused."""
    calibration, other = OnlineCalibration(), OnlineCalibration()
    for outcome in (0.0, 0.0, 1.0):
        calibration.learn(0.9, outcome)
    other.restore(calibration.state())
    assert other.probability(0.9) == calibration.probability(0.9) < 0.9
    with pytest.raises(ValueError, match="six numbers"):
        other.restore(np.zeros(5))
