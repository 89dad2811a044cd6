"""Ridge regression over few features, kept as sums: examples are added, weighted and forgotten without being stored.

Weighted by inverse propensities the sums speak of all requests, not only of those that were looked at. Features are
brought to one scale before the penalty, from the same sums, so that a flag and a log-odds shrink alike.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTY = 300.0
"""In examples: 300 and 1,000 differ by less than a percent of saving on pools of 1,400 and of 6,900 questions
(bench/routing.py)."""
_LEAST_VARIANCE = 1e-9


class Ridge:
    """Predicts `outputs` numbers from `features` numbers."""

    def __init__(self, features: int, outputs: int, *, penalty: float = PENALTY) -> None:
        self.penalty = penalty
        self._gram: Floats = np.zeros((features + 1, features + 1))
        self._moments: Floats = np.zeros((features + 1, outputs))
        self._weights: Floats | None = None

    @property
    def examples(self) -> float:
        """The weight of all examples."""
        return float(self._gram[-1, -1])

    def learn(self, features: Floats, targets: Floats, weights: Floats | None = None) -> None:
        """Add examples, one a row; `weights` are inverse propensities, 1 where none are given."""
        rows = np.concatenate([features, np.ones((len(features), 1))], axis=1)
        weighted = rows if weights is None else rows * weights[:, None]
        self._gram += weighted.T @ rows
        self._moments += weighted.T @ targets
        self._weights = None

    def forget(self, keep: float) -> None:
        """Let every example so far count `keep` (0..1) of what it counted."""
        self._gram *= keep
        self._moments *= keep
        self._weights = None

    def predict(self, features: Floats) -> Floats:
        """Return the outputs for one row of features or for many; zeros before the first example."""
        weights = self._solved()
        return np.asarray(features @ weights[:-1] + weights[-1])

    def state(self) -> Mapping[str, Floats]:
        """Return what `restore` takes, as arrays that can be saved."""
        return {"gram": self._gram.copy(), "moments": self._moments.copy()}

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Take a saved state over. ValueError: it has another number of features or outputs."""
        gram, moments = np.array(state["gram"], np.float64), np.array(state["moments"], np.float64)
        if gram.shape != self._gram.shape or moments.shape != self._moments.shape:
            msg = f"saved sums have the shapes {gram.shape} and {moments.shape}, not {self._gram.shape}"
            raise ValueError(msg)
        self._gram, self._moments, self._weights = gram, moments, None

    def _solved(self) -> Floats:
        if self._weights is not None:
            return self._weights
        count = max(self.examples, _LEAST_VARIANCE)
        mean = self._gram[-1, :-1] / count
        centred = self._gram[:-1, :-1] - count * np.outer(mean, mean)
        spread = np.sqrt(np.maximum(np.diag(centred) / count, _LEAST_VARIANCE))
        scaled = centred / np.outer(spread, spread) + self.penalty * np.eye(len(spread))
        pull = (self._moments[:-1] - np.outer(mean, self._moments[-1])) / spread[:, None]
        slopes = np.linalg.solve(scaled, pull) / spread[:, None]
        self._weights = np.concatenate([slopes, (self._moments[-1] / count - mean @ slopes)[None, :]])
        return self._weights
