"""First level of learned routing: from words to log-odds.

One linear model over the question's words answers for every tier at once, and for one thing more: how hard the
question is, the mean over all models that were ever asked it, which is a calmer target than any one of them. Where a
tier's answer is judged before it is delivered, a second model reads that answer beside its question. A domain is one
more word, so every (domain, tier) has a prior of its own which words then correct.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.hashed_text import BUCKET_BITS, SparseVector, bucketed, joined, shortened, word_hashes
from streamroute.core.quality.sparse_linear import LearningOptions, SparseLinear

Floats = NDArray[np.float64]

_ANSWER_SALT = 0x5BD1E995
"""Keeps the words of an answer apart from those of its question."""
_TAIL_SALT = 0x01234567
_TAIL_CHARS = 400
"""Of an answer, where its conclusion stands: its words count once more, on their own (.005 to .01 of AUROC and a point
of saving on pools A2 and O of bench/routing.py)."""
_BIAS = np.float32(0.125)
_DOMAIN = np.float32(1.0)
"""As much as all words together: .3 and 1 differ by .001 of AUROC, none at all costs .01 (pool A2)."""


def question_vector(text: str, domain: str) -> SparseVector:
    """Return the words of a question with its domain ("": none known)."""
    words = bucketed(word_hashes(shortened(text)))
    known = [(0, _BIAS)] + ([(_domain_bucket(domain), _DOMAIN)] if domain else [])
    extra = SparseVector(np.array([id_ for id_, _ in known], np.intp), np.array([v for _, v in known], np.float32))
    return joined(words, extra)


def answer_vector(question: SparseVector, answer: str) -> SparseVector:
    """Return the words of an answer, and of its end, beside its question."""
    whole = bucketed(word_hashes(shortened(answer)), salt=_ANSWER_SALT)
    return joined(whole, bucketed(word_hashes(answer[-_TAIL_CHARS:]), salt=_TAIL_SALT), question)


def _domain_bucket(domain: str) -> int:
    return crc32(domain.encode(), 1) & ((1 << BUCKET_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What became of one question."""

    question: SparseVector
    answers: Sequence[SparseVector | None]
    """By judged tier, with its question; None: not asked, or nothing kept."""
    scores: NDArray[np.float32]
    """0..1 a tier, then the difficulty."""
    known: NDArray[np.float32]
    """1 where the score is known, else 0."""


class TierModels:
    """Log-odds that a tier's answer is right: before it is asked, and once its answer is there."""

    def __init__(self, tiers: int, judged: int, options: LearningOptions | None = None) -> None:
        self._tiers = tiers
        self.questions = SparseLinear(tiers + 1, options=options)
        self.answers = tuple([SparseLinear(2, options=options) for _ in range(judged)])

    @classmethod
    def of_average(cls, questions: SparseLinear, answers: Sequence[SparseLinear]) -> "TierModels":
        """Return models that are only asked."""
        models = cls(0, 0)
        models._tiers, models.questions, models.answers = len(answers) + 1, questions, tuple(answers)
        return models

    def learn(self, lesson: Lesson) -> None:
        """Take one step for everything that is known of it."""
        self.questions.learn(lesson.question, lesson.scores, lesson.known)
        for tier, (model, answer) in enumerate(zip(self.answers, lesson.answers, strict=True)):
            if answer is not None:
                both = [tier, self._tiers]
                model.learn(answer, lesson.scores[both], lesson.known[both])

    def of_question(self, question: SparseVector) -> Floats:
        """Return log-odds a tier, then of the difficulty."""
        return self.questions.scores(question)

    def unknown_share(self, question: SparseVector) -> float:
        """Return the share of a question's words and pairs of words that were never learned from: more than is usual
        where a domain has become another one (`domain_drift`)."""
        return self.questions.unknown_share(question)

    def of_answer(self, tier: int, answer: SparseVector) -> Floats:
        """Return log-odds that a judged tier's answer is right, and that others would be."""
        return self.answers[tier].scores(answer)
