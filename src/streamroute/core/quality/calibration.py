"""Probabilities that mean what they say: of answers given .8, eight in ten are right.

Isotonic regression by pooling adjacent violators (Ayer et al., 1955), over bins of equal size so that its steps are not
single lucky examples; between steps it is interpolated.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BIN = 50
"""Examples at least in a step: the standard error of its mean is then at most .07."""


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
