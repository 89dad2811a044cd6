"""Probabilities that mean what they say: of answers given .8, eight in ten are right.

`Calibration` is fitted once: isotonic regression by pooling adjacent violators (Ayer et al., 1955), over bins of equal
size so that its steps are not single lucky examples; between steps it is interpolated. `OnlineCalibration` learns from
one example at a time: a line over log-odds (Platt, 1999), held near the one that changes nothing.
"""

from math import exp, log

import numpy as np
from numpy.typing import NDArray

from streamroute.core.clamp import clamp

Floats = NDArray[np.float64]

_BIN = 50
"""Examples at least in a step: the standard error of its mean is then at most .07."""
_OFFSET_VARIANCE, _SLOPE_VARIANCE = 0.1, 0.1
"""Of the line before anything is learned: a hundred examples move it by as much as it may be wrong."""
_DRIFT = 1e-5
"""Of that, added with every example: what is older than some thousands is forgotten."""
_LEAST_CURVATURE = 0.02
_NEAREST = 1e-4
"""Probabilities are held this far from 0 and 1."""


class Calibration:
    """A rising map from scores to probabilities; before it is fitted the identity, clipped to 0..1."""

    def __init__(self) -> None:
        self._scores: Floats = np.array([0.0, 1.0])
        self._probabilities: Floats = np.array([0.0, 1.0])

    def fit(self, scores: Floats, outcomes: Floats) -> None:
        """Learn from scores (any scale) and outcomes (0..1) of examples that the scores were not fitted on."""
        if not len(scores):
            return
        order = np.argsort(scores, kind="stable")
        blocks: list[tuple[float, float, int]] = []
        for part in np.array_split(order, max(1, len(order) // _BIN)):
            block = (float(scores[part].mean()), float(outcomes[part].mean()), len(part))
            while blocks and blocks[-1][1] >= block[1]:
                block = _pooled(blocks.pop(), block)
            blocks.append(block)
        self._scores = np.array([score for score, _, _ in blocks])
        self._probabilities = np.array([probability for _, probability, _ in blocks])

    def probability(self, scores: Floats) -> Floats:
        """Return the probabilities of scores."""
        return np.interp(scores, self._scores, self._probabilities)


class OnlineCalibration:
    """A rising map from probabilities to better ones; before it has learned anything the identity."""

    def __init__(self) -> None:
        self._offset, self._slope = 0.0, 1.0
        self._covariance: Floats = np.diag([_OFFSET_VARIANCE, _SLOPE_VARIANCE])

    def probability(self, said: float) -> float:
        """Return what a probability (0..1) that was said is worth."""
        return self._of(_log_odds(said))

    def learn(self, said: float, outcome: float) -> None:
        """Take one step for what came (0..1) after a probability was said: recursive least squares on the curvature of
        the logistic loss, which forgets slowly."""
        log_odds = _log_odds(said)
        row = np.array([1.0, log_odds])
        expected = self._of(log_odds)
        curvature = max(_LEAST_CURVATURE, expected * (1.0 - expected))
        reach = self._covariance @ row
        gain = reach / (1.0 / curvature + float(row @ reach))
        step = (outcome - expected) / curvature
        self._offset += float(gain[0]) * step
        self._slope = max(0.0, self._slope + float(gain[1]) * step)
        self._covariance = self._covariance - np.outer(gain, reach)
        self._covariance += np.diag([_OFFSET_VARIANCE, _SLOPE_VARIANCE]) * _DRIFT

    def state(self) -> Floats:
        """Return what `restore` takes: six numbers."""
        return np.array([self._offset, self._slope, *self._covariance.ravel()])

    def restore(self, state: Floats) -> None:
        """Take a saved state over. ValueError: it is not six numbers."""
        if state.shape != (6,):
            msg = f"a saved calibration is six numbers, not {state.shape}"
            raise ValueError(msg)
        self._offset, self._slope = float(state[0]), float(state[1])
        self._covariance = np.array(state[2:], np.float64).reshape(2, 2)

    def _of(self, log_odds: float) -> float:
        return 1.0 / (1.0 + exp(clamp(-self._offset - self._slope * log_odds, -30.0, 30.0)))


def _log_odds(probability: float) -> float:
    held = clamp(probability, _NEAREST, 1.0 - _NEAREST)
    return log(held / (1.0 - held))


def _pooled(one: tuple[float, float, int], two: tuple[float, float, int]) -> tuple[float, float, int]:
    count = one[2] + two[2]
    return (one[0] * one[2] + two[0] * two[2]) / count, (one[1] * one[2] + two[1] * two[2]) / count, count


def calibration_error(probabilities: Floats, outcomes: Floats, bins: int = 10) -> float:
    """Return the expected calibration error: the mean gap between probability and share over bins of equal size."""
    order = np.argsort(probabilities, kind="stable")
    gaps = [
        len(part) * abs(float(probabilities[part].mean() - outcomes[part].mean()))
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return sum(gaps) / max(1, len(order))
