"""Linear models over hashed vectors."""

import numpy as np
import pytest

from streamroute.core.quality.hashed_text import SparseVector
from streamroute.core.quality.sparse_linear import LearningOptions, SparseLinear


def vector(*ids: int) -> SparseVector:
    return SparseVector(np.array(ids, np.intp), np.ones(len(ids), np.float32))


def target(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_the_first_step_is_adagrads() -> None:
    """Error .5, squared gradient .01 + .25: a step of .2 * .5 / sqrt(.26); asked is the average of all weights so far,
    which after one example is the whole step."""
    model = SparseLinear(1)
    model.learn(vector(3), target(1.0))
    assert model.scores(vector(3)) == pytest.approx([0.2 * 0.5 / 0.26**0.5])
    assert model.scores(vector(4)).tolist() == [0.0]


def test_what_is_asked_is_the_average_of_all_weights() -> None:
    """Against an oracle that keeps the weights after every example."""
    model, weight, squares, weights = SparseLinear(1, options=LearningOptions(rate=0.5)), 0.0, 0.01, []
    for right in (1.0, 1.0, 0.0, 1.0):
        error = right - 1.0 / (1.0 + np.exp(-weight))
        squares += error * error
        weight += 0.5 * error / squares**0.5
        weights.append(weight)
        model.learn(vector(0), target(right))
    assert model.scores(vector(0)) == pytest.approx([np.mean(weights)], rel=1e-5)


def test_an_output_that_is_masked_stays() -> None:
    """Nobody asked that model: nothing is learned of it."""
    model = SparseLinear(2)
    model.learn(vector(1), target(1.0, 1.0), target(1.0, 0.0))
    scores = model.scores(vector(1))
    assert scores[0] > 0.0
    assert scores[1] == 0.0


def test_it_learns_what_words_mean() -> None:
    """Two words that are always right and always wrong, each beside one that says nothing."""
    model = SparseLinear(1)
    for _ in range(100):
        model.learn(vector(1, 9), target(1.0))
        model.learn(vector(2, 9), target(0.0))
    assert model.scores(vector(1))[0] > 1.0
    assert model.scores(vector(2))[0] < -1.0
    assert abs(model.scores(vector(9))[0]) < 0.5


def test_softmax_outputs_share_one() -> None:
    """What one class gains the others lose."""
    model = SparseLinear(3, link="softmax")
    for _ in range(20):
        model.learn(vector(5), target(0.0, 1.0, 0.0))
    scores = model.scores(vector(5))
    assert scores.argmax() == 1
    assert scores[0] == pytest.approx(scores[2])
    assert scores[0] < 0.0


def test_a_saved_state_goes_on_as_if_nothing_had_happened() -> None:
    """Only touched buckets are kept, and the next step is the same."""
    model, other = SparseLinear(2), SparseLinear(2)
    for at in (1, 2, 1, 70_000):
        model.learn(vector(at, 8), target(1.0, 0.0))
    state = model.state()
    assert state["used"].tolist() == [1, 2, 8, 70_000]
    other.restore(state)
    for each in (model, other):
        each.learn(vector(1), target(0.0, 1.0))
    assert other.scores(vector(1, 8)).tolist() == model.scores(vector(1, 8)).tolist()


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_state_of_another_shape_is_refused(outputs: int) -> None:
    """Weights for other models would be silently wrong."""
    model = SparseLinear(2)
    model.learn(vector(1), target(1.0, 0.0))
    with pytest.raises(ValueError, match=rf"shape \(1, 2\); {outputs} outputs are wanted"):
        SparseLinear(outputs).restore(model.state())


def test_a_bucket_that_is_not_there_is_refused() -> None:
    """The number of buckets was larger when it was saved."""
    model = SparseLinear(1)
    model.learn(vector(1), target(1.0))
    with pytest.raises(ValueError, match="saved weights"):
        SparseLinear(1).restore({**model.state(), "used": np.array([1 << 20])})


def test_what_no_example_had_is_unknown() -> None:
    """Two of three buckets; of an average the same; nothing of nothing."""
    model = SparseLinear(2)
    model.learn(vector(3, 4), target(1.0, 0.0))
    for each in (model, SparseLinear.of_average(model.average())):
        assert each.unknown_share(vector(4, 7, 9)) == pytest.approx(2 / 3)
        assert each.unknown_share(vector()) == 0.0


def test_an_average_answers_alike() -> None:
    """Of a model that has learned; what it keeps is what is asked, so a bucket that was never touched is not there."""
    model = SparseLinear(2)
    for at in range(5):
        model.learn(vector(at % 3), target(1.0, at % 2))
    kept = model.average()
    assert kept["used"].tolist() == [0, 1, 2]
    asked = SparseLinear.of_average(kept)
    assert asked.outputs == 2
    assert asked.scores(vector(0, 2)) == pytest.approx(model.scores(vector(0, 2)), rel=1e-5)
    assert SparseLinear.of_average(SparseLinear(3).average()).scores(vector(1)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "changed",
    [{"used": np.array([1 << 20], np.int32)}, {"used": np.array([1, 2], np.int32)}, {"used": np.array([0.5])}],
)
def test_an_average_of_another_shape_is_refused(changed: dict[str, np.ndarray]) -> None:
    """As a state is."""
    model = SparseLinear(1)
    model.learn(vector(1), target(1.0))
    with pytest.raises(ValueError, match="saved weights"):
        SparseLinear.of_average({**model.average(), **changed})
