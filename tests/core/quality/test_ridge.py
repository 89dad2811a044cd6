"""Ridge regression from sums."""

import numpy as np
import pytest
from numpy.typing import NDArray

from streamroute.core.quality.ridge import Ridge

RNG = np.random.default_rng(3)
FEATURES = RNG.normal(size=(200, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, -1.0]
TARGETS = FEATURES @ np.array([[1.0, 0.0], [0.2, -0.1], [3.0, 1.0]]) + 0.5


def closed_form(
    features: NDArray[np.float64], targets: NDArray[np.float64], penalty: float, at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The textbook: standardise, penalise slopes but not the intercept."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scaled = (features - mean) / spread
    slopes = np.linalg.solve(
        scaled.T @ scaled + penalty * np.eye(features.shape[1]), scaled.T @ (targets - targets.mean(0))
    )
    return np.asarray((at - mean) / spread @ slopes + targets.mean(axis=0))


@pytest.mark.parametrize("penalty", [0.01, 10.0, 300.0])
def test_it_is_the_closed_form(penalty: float) -> None:
    """From sums the same comes out as from all examples at once."""
    model = Ridge(3, 2, penalty=penalty)
    for part in np.array_split(np.arange(200), 7):
        model.learn(FEATURES[part], TARGETS[part])
    expected = closed_form(FEATURES, TARGETS, penalty, FEATURES[:5])
    assert model.predict(FEATURES[:5]) == pytest.approx(expected, abs=1e-6)
    assert model.predict(FEATURES[0]) == pytest.approx(expected[0], abs=1e-6)


def test_without_examples_it_predicts_nothing() -> None:
    """A policy that was never fitted prefers no move."""
    assert Ridge(2, 1).predict(np.array([3.0, 4.0])).tolist() == [0.0]


def test_a_weight_is_as_many_examples() -> None:
    """An example that stands for four because a quarter was looked at counts like four."""
    once, often = Ridge(3, 2, penalty=5.0), Ridge(3, 2, penalty=5.0)
    once.learn(FEATURES[:20], TARGETS[:20], np.full(20, 4.0))
    for _ in range(4):
        often.learn(FEATURES[:20], TARGETS[:20])
    assert once.examples == often.examples == 80.0
    assert once.predict(FEATURES[30]) == pytest.approx(often.predict(FEATURES[30]))


def test_what_is_forgotten_counts_less() -> None:
    """After forgetting half, new examples of the same number weigh twice as much."""
    model = Ridge(1, 1)
    model.learn(np.zeros((10, 1)), np.zeros((10, 1)))
    model.forget(0.5)
    model.learn(np.zeros((10, 1)), np.ones((10, 1)))
    assert model.predict(np.zeros(1)) == pytest.approx([2 / 3])


def test_a_feature_that_never_varies_teaches_nothing() -> None:
    """It has no scale; the prediction is the mean."""
    model = Ridge(1, 1)
    model.learn(np.ones((4, 1)), np.array([[0.0], [0.0], [1.0], [1.0]]))
    assert model.predict(np.ones(1)) == pytest.approx([0.5])
