"""Probabilities that mean what they say: of answers given .8, eight in ten are right.

`Calibration` is fitted once: isotonic regression by pooling adjacent violators (Ayer et al., 1955), over bins of equal
size so that its steps are not single lucky examples; between steps it is interpolated. `LineCalibration` is a line over
log-odds (Platt, 1999), held near the one that changes nothing: with few examples that is all they can tell.
`fitted_calibration` takes steps only where they clearly do better on examples that they have not seen.
`OnlineCalibration` learns such a line from one example at a time.
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
_NEWTON_STEPS = 25
"""At most; five or six are enough where outcomes are of both kinds."""
_SETTLED = 1e-9
_FOLDS = 5


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


class LineCalibration:
    """A rising line over log-odds; before it is fitted the one that changes nothing."""

    def __init__(self) -> None:
        self._line: Floats = np.array([0.0, 1.0])

    def fit(self, log_odds: Floats, outcomes: Floats) -> None:
        """Learn from log-odds and outcomes (0..1) of examples that the log-odds were not fitted on: the most probable
        line, by Newton's steps, where offset and slope vary as much as those of `OnlineCalibration` before it learns
        anything."""
        line = usual = np.array([0.0, 1.0])
        precision = np.diag([1.0 / _OFFSET_VARIANCE, 1.0 / _SLOPE_VARIANCE])
        rows = np.stack([np.ones(len(log_odds)), log_odds], axis=1)
        for _ in range(_NEWTON_STEPS):
            expected = _probabilities(rows @ line)
            curvature = rows.T @ (rows * (expected * (1.0 - expected))[:, None]) + precision
            step = np.linalg.solve(curvature, rows.T @ (outcomes - expected) - precision @ (line - usual))
            line = line + step
            if np.abs(step).max() < _SETTLED:
                break
        self._line = np.array([line[0], max(0.0, float(line[1]))])

    def probability(self, log_odds: Floats) -> Floats:
        """Return the probabilities of log-odds."""
        return _probabilities(self._line[0] + self._line[1] * log_odds)


def fitted_calibration(log_odds: Floats, outcomes: Floats) -> Calibration | LineCalibration:
    """Return a line, or steps where their logistic loss is lower, by more than one standard error, on fifths of the
    examples that they have not seen (every fifth example is one). On 1,100 to 5,200 recorded answers of five pools,
    asked about others, that has no higher loss than steps 17 times in 20 (docs/concepts/routing.md)."""
    better = _held_out_losses(LineCalibration, log_odds, outcomes) - _held_out_losses(Calibration, log_odds, outcomes)
    is_plain = len(better) < _FOLDS or better.mean() <= better.std() / len(better) ** 0.5
    best = LineCalibration() if is_plain else Calibration()
    best.fit(log_odds, outcomes)
    return best


def _held_out_losses(kind: type[Calibration] | type[LineCalibration], log_odds: Floats, outcomes: Floats) -> Floats:
    fold, said = np.arange(len(log_odds)) % _FOLDS, np.zeros(len(log_odds))
    for own in np.unique(fold):
        tried = kind()
        tried.fit(log_odds[fold != own], outcomes[fold != own])
        said[fold == own] = tried.probability(log_odds[fold == own])
    said = np.clip(said, _NEAREST, 1.0 - _NEAREST)
    return np.asarray(-(outcomes * np.log(said) + (1.0 - outcomes) * np.log(1.0 - said)), np.float64)


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


def _probabilities(log_odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0))), np.float64)


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
