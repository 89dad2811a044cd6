"""Linear models over one sparse vector, several outputs at once, learned one example at a time.

AdaGrad (Duchi et al., JMLR 2011) gives rare words a large step and frequent ones a small one; the average of all
weights so far is what is asked. Learning an example takes as long as a few answers, so it is done while running.
`logistic` outputs are independent probabilities and may be missing; `softmax` outputs share one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.hashed_text import BUCKET_BITS, SparseVector

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningOptions:
    """How fast weights move."""

    rate: float = 0.2
    """Of AdaGrad; .1 to .3 differ by less than .003 of AUROC (pool A2 of bench/routing.py)."""
    first_square: float = 0.01
    """The sum of squared gradients that a bucket starts with: its first step is then about the rate itself."""


class SparseLinear:
    """Scores of `outputs` over hashed vectors."""

    def __init__(
        self,
        outputs: int,
        *,
        link: Literal["logistic", "softmax"] = "logistic",
        options: LearningOptions | None = None,
    ) -> None:
        shape = (1 << BUCKET_BITS, outputs)
        self.options = options or LearningOptions()
        self._is_softmax = link == "softmax"
        self._weights: Floats = np.zeros(shape, np.float32)
        self._squares: Floats = np.full(shape, self.options.first_square, np.float32)
        self._lag: Floats = np.zeros(shape, np.float32)
        """Sum of steps, each times the number of examples before it: weights minus this by examples is the average."""
        self.examples = 0

    @property
    def outputs(self) -> int:
        """How many scores there are."""
        return int(self._weights.shape[1])

    def scores(self, vector: SparseVector) -> NDArray[np.float64]:
        """Return a score an output: log-odds where the link is logistic."""
        scores = vector.values @ self._weights.take(vector.ids, 0)
        if self.examples:
            scores = scores - vector.values @ self._lag.take(vector.ids, 0) / np.float32(self.examples)
        return scores.astype(np.float64)

    def unknown_share(self, vector: SparseVector) -> float:
        """Return the share (0..1) of a vector's buckets that no example had; 0 of an empty one."""
        return 1.0 - float(self._weights.take(vector.ids, 0).any(axis=1).mean()) if len(vector.ids) else 0.0

    def learn(self, vector: SparseVector, targets: Floats, mask: Floats | None = None) -> None:
        """Take one step towards `targets` (0..1 an output), each times its `mask`: 0 leaves an output as it is."""
        ids, values = vector.ids, vector.values
        weights = self._weights.take(ids, 0)
        error = targets - self._probabilities(values @ weights)
        if mask is not None:
            error = error * mask
        gradient = values[:, None] * error
        squares = self._squares.take(ids, 0) + gradient * gradient
        self._squares[ids] = squares
        step = np.float32(self.options.rate) * gradient / np.sqrt(squares)
        self._weights[ids] = weights + step
        self._lag[ids] += np.float32(self.examples) * step
        self.examples += 1

    def _probabilities(self, scores: Floats) -> Floats:
        if self._is_softmax:
            raised = np.exp(scores - scores.max())
            return np.asarray(raised / raised.sum(), np.float32)
        return np.asarray(1.0 / (1.0 + np.exp(-scores)), np.float32)

    def average(self) -> Mapping[str, NDArray[Any]]:
        """Return what `of_average` takes, as arrays that can be saved: a third of `state`, for a model that is only
        asked."""
        mean = self._weights if not self.examples else self._weights - self._lag / np.float32(self.examples)
        used = np.flatnonzero(mean.any(axis=1))
        return {"used": used.astype(np.int32), "weights": mean[used]}

    @classmethod
    def of_average(cls, average: Mapping[str, NDArray[Any]]) -> "SparseLinear":
        """Return a model that answers as the one that `average` is of. ValueError: it is of another shape."""
        used, weights = average["used"], average["weights"]
        if weights.ndim != 2 or used.shape != weights.shape[:1] or used.dtype.kind != "i":
            msg = f"saved weights have the shape {weights.shape}, their buckets {used.shape}"
            raise ValueError(msg)
        model = cls(weights.shape[1])
        if len(used) and not 0 <= int(used.min()) <= int(used.max()) < len(model._weights):
            raise ValueError("saved weights are of other buckets")
        model._weights[used] = weights
        return model

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what `restore` takes, as arrays that can be saved: only the buckets that were ever touched."""
        used = np.flatnonzero((self._squares != np.float32(self.options.first_square)).any(axis=1))
        return {
            "used": used,
            "weights": self._weights[used],
            "squares": self._squares[used],
            "lag": self._lag[used],
            "examples": np.array(self.examples),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state over. ValueError: it has another number of outputs or buckets."""
        used = state["used"]
        fits = state["weights"].shape == (len(used), self._weights.shape[1])
        if not fits or (len(used) and int(used.max()) >= len(self._weights)):
            msg = f"saved weights have the shape {state['weights'].shape}; {self._weights.shape[1]} outputs are wanted"
            raise ValueError(msg)
        for name, target in (("weights", self._weights), ("squares", self._squares), ("lag", self._lag)):
            target[used] = state[name]
        self.examples = int(state["examples"])
