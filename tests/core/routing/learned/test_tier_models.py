"""From words to log-odds, for every tier at once."""

import numpy as np
import pytest
from numpy.typing import NDArray

from streamroute.core.quality.hashed_text import SparseVector
from streamroute.core.routing.learned.tier_models import Lesson, TierModels, answer_vector, question_vector

EASY, HARD = question_vector("add two numbers", ""), question_vector("prove the conjecture", "")


def numbers(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def lesson(question: SparseVector, small: float, large: float, answer: SparseVector | None = None) -> Lesson:
    return Lesson(question, [answer], numbers(small, large, (small + large) / 2), numbers(1, 1, 1))


def test_it_learns_which_questions_are_hard_for_whom() -> None:
    """The small model fails hard ones, the large one does not."""
    models = TierModels(2, 1)
    for _ in range(30):
        models.learn(lesson(EASY, 1.0, 1.0))
        models.learn(lesson(HARD, 0.0, 1.0))
    easy, hard = models.of_question(EASY), models.of_question(HARD)
    assert easy.shape == (3,)
    assert easy[0] > 1.0
    assert hard[0] < 0.0
    assert hard[1] > 1.0
    assert hard[2] < easy[2]


def test_an_answer_is_judged_by_its_words() -> None:
    """Of one and the same question."""
    good, bad = answer_vector(HARD, "therefore it holds"), answer_vector(HARD, "hmm, approximately, unclear")
    models = TierModels(2, 1)
    for _ in range(30):
        models.learn(lesson(HARD, 1.0, 1.0, good))
        models.learn(lesson(HARD, 0.0, 1.0, bad))
    assert models.of_answer(0, good)[0] > 0.5
    assert models.of_answer(0, bad)[0] < -0.5


def test_who_was_not_asked_teaches_nothing() -> None:
    """A score that is not known leaves its output as it was."""
    models = TierModels(2, 1)
    models.learn(Lesson(EASY, [None], numbers(0, 1, 1), numbers(0, 1, 1)))
    found = models.of_question(EASY)
    assert found[0] == 0.0
    assert found[1] > 0.0
    assert models.of_answer(0, EASY).tolist() == [0.0, 0.0]


def test_a_domain_is_one_more_word() -> None:
    """It has a prior of its own, whatever the words."""
    models = TierModels(2, 1)
    for _ in range(30):
        models.learn(lesson(question_vector("alpha beta", "law"), 0.0, 1.0))
        models.learn(lesson(question_vector("alpha beta", "math"), 1.0, 1.0))
    law, math = (models.of_question(question_vector("gamma delta", name))[0] for name in ("law", "math"))
    assert law < 0.0 < math


def test_vectors_keep_kinds_of_text_apart() -> None:
    """A word of the answer is none of the question; the end of the answer counts once more."""
    question = question_vector("same", "")
    both = answer_vector(question, "same")
    assert len(question.ids) == 2
    assert len(both.ids) == 4
    assert len(set(both.ids.tolist())) == 4
    assert float(both.values[0]) == pytest.approx(1.0)
