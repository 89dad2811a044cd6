"""Two models, and a score for what the larger would gain: no answer is read, only the question."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from routing_lab.effort import Effort
from streamroute.core.routing.learned.first_level import fitted, prepare
from streamroute.core.routing.learned.fitting import FOLDS, SEED
from streamroute.core.routing.learned.outcome_rows import Row, folds

Floats = NDArray[np.float64]


def scores_of(
    train: Sequence[Row], test: Sequence[Row], tiers: Sequence[str], effort: Effort, *, with_domain: bool
) -> Floats:
    """Return the gain of the larger model on `test`, from what `train` teaches."""
    known, asked = (prepare(each, tiers, with_domain=with_domain) for each in (train, test))
    models = fitted(known, len(tiers), np.random.default_rng(SEED), effort.epochs)
    scores = np.array([models.of_question(each.lesson.question) for each in asked])
    return _gain(scores)


def held_out_scores(rows: Sequence[Row], tiers: Sequence[str], effort: Effort, *, with_domain: bool) -> Floats:
    """Return the gain for each row, from models that have not seen it."""
    own = folds(rows, FOLDS)
    found = np.zeros(len(rows))
    for fold in range(FOLDS):
        train = [row for row, at in zip(rows, own, strict=True) if at != fold]
        test = [row for row, at in zip(rows, own, strict=True) if at == fold]
        found[own == fold] = scores_of(train, test, tiers, effort, with_domain=with_domain)
    return found


def _gain(scores: Floats) -> Floats:
    right = 1.0 / (1.0 + np.exp(-scores))
    return np.asarray(right[:, 1] - right[:, 0])
