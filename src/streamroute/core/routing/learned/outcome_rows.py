"""Recorded outcomes: questions, what each model answered, whether it was right, what it cost. Policies are fitted on
such rows."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.agreement import agree
from streamroute.core.quality.comparison import agrees
from streamroute.core.quality.signals import Answer
from streamroute.core.quality.verdict import Draft, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one model made of one question."""

    score: float
    """0..1."""
    cost_usd: float
    answer: Answer
    draft: Draft | None = None
    """The same as a sidecar holds it, where the answer is there as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A question, and all that was made of it."""

    dataset: str
    """Keeps domains and ids of different sources apart; "" where there is one source."""
    query_id: str
    domain: str
    text: str
    outcomes: Mapping[str, Outcome]
    """By model."""

    @property
    def hash(self) -> int:
        """A number that stays with the question, whatever else is there."""
        return int.from_bytes(hashlib.sha256(f"{self.dataset}/{self.query_id}".encode()).digest()[:8], "big")

    @property
    def kind(self) -> str:
        """Its domain, apart in every dataset."""
        return f"{self.dataset}/{self.domain}" if self.dataset else self.domain

    def is_complete(self, models: Sequence[str]) -> bool:
        """All of them were asked it."""
        return all(model in self.outcomes for model in models)


def folds(of: Sequence[Row], many: int) -> NDArray[np.intp]:
    """Return a number 0..many-1 a row, by a part of its hash."""
    return np.array([row.hash // 1_000 % many for row in of], np.intp)


def agreement(row: Row, one: str, two: str) -> bool:
    """Return whether two models came to the same: as a sidecar tells where it has their answers, else by their
    conclusions."""
    first, second = row.outcomes[one], row.outcomes[two]
    if first.draft is not None and second.draft is not None:
        return agrees(first.draft, second.draft, Wanted()) is True
    return agree(first.answer.conclusion, second.answer.conclusion)
