"""What a request is about, learned from requests whose domain is known: one linear model a domain, against all others.

Squared hinge loss with AdaGrad steps (Duchi et al., JMLR 2011), one example at a time, over the views of
`core.quality.subject_text`. A domain's score is near 1 where it is right and near -1 where it is not, and of a text
like none that was learned all scores are low: that is told apart as *unknown*. How often the best is right, given its
score and its lead over the second, is learned from examples as they come in, before they are learned from.

On held-out questions: 98 % of CLINC150's ten domains, 95 % of its 150 intents, 92 % of banking77's 77
(bench/results/routing_learning.json). Not thread-safe; learning an example takes about as long as three answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.bucket_table import BucketTable, are_buckets
from streamroute.core.quality.subject_text import Rarity, SubjectText

UNKNOWN = ""
"""The domain of a text that is like none that was learned."""
STATE_VERSION = 2
"""Words are hashed otherwise than in version 1."""
_RATE = 0.1
"""Of AdaGrad; .3 loses 1.4 points on 150 intents, and a single step size a bucket as much."""
_FIRST_SQUARE = np.float32(0.01)
_FIRST_TRUST = (-1.0, 1.5, 2.5)
"""Of `_trust`, before anything was learned: a lead of .5 with a score of .2 is then 57 % sure."""
_TRUST_RATE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainOptions:
    """What a classifier holds, and when it says that it does not know."""

    most_domains: int = 64
    """A domain takes 1 MB (2**17 buckets, weight and step size)."""
    least_confidence: float = 0.3
    """0..1; below it the domain is unknown."""


@dataclass(frozen=True, slots=True)
class DomainGuess:
    """What a text is about."""

    domain: str
    """`UNKNOWN` where confidence is too low."""
    confidence: float
    """0..1: how often such a guess is right."""
    nearest: str
    """The domain with the highest score, whatever the confidence; `UNKNOWN` before the first is learned."""


class DomainClassifier:
    """Tells domains apart; new ones are added by learning an example of them."""

    def __init__(self, options: DomainOptions | None = None) -> None:
        self.options = options or DomainOptions()
        self._rarity = Rarity()
        self._domains: list[str] = []
        self._places: dict[str, int] = {}
        self._weights, self._squares = BucketTable(), BucketTable()
        """One column a domain; of squared gradients what goes beyond the first one, so that unused ones are 0."""
        self._trust: Sequence[float] = _FIRST_TRUST
        """Log-odds that the best is right: a constant, then times its score and its lead."""
        self.examples = 0

    @property
    def domains(self) -> Sequence[str]:
        """Those that were learned, in the order in which they came."""
        return tuple(self._domains)

    def classify(self, read: SubjectText) -> DomainGuess:
        """Return what a text is about."""
        if not self._domains:
            return DomainGuess(UNKNOWN, 0.0, UNKNOWN)
        vector = self._rarity.vector(read)
        return self._guess(self._weights.sums(vector.ids, vector.values))

    def scores(self, read: SubjectText) -> dict[str, float]:
        """Return a score a domain: about 1 where it is right, about -1 where it is not."""
        vector = self._rarity.vector(read)
        return dict(zip(self._domains, self._weights.sums(vector.ids, vector.values), strict=True))

    def learn(self, read: SubjectText, domain: str, *, is_repeated: bool = False) -> None:
        """Take one step towards the domain of a text; `is_repeated`: it was learned from before.

        ValueError: the domain has no name, or there are too many.
        """
        place = self._place(domain)
        if not is_repeated:
            self._rarity.count(read)
        vector = self._rarity.vector(read)
        weights = self._weights.take(vector.ids)
        scores = vector.values @ weights
        if not is_repeated:
            self._learn_trust(scores.tolist(), place)
            self.examples += 1
        targets = np.full(len(scores), -1.0, np.float32)
        targets[place] = 1.0
        error = targets * np.maximum(0.0, 1.0 - targets * scores)
        gradient = vector.values[:, None] * error
        squares = self._squares.take(vector.ids) + gradient * gradient
        self._squares.put(vector.ids, squares)
        self._weights.put(vector.ids, weights + np.float32(_RATE) * gradient / np.sqrt(squares + _FIRST_SQUARE))

    def _guess(self, scores: Sequence[float]) -> DomainGuess:
        best, signs = _best(scores)
        confidence = _sigmoid(sum(map(mul, self._trust, signs)))
        nearest = self._domains[best]
        return DomainGuess(nearest if confidence >= self.options.least_confidence else UNKNOWN, confidence, nearest)

    def _learn_trust(self, scores: Sequence[float], place: int) -> None:
        best, signs = _best(scores)
        step = _TRUST_RATE * (float(best == place) - _sigmoid(sum(map(mul, self._trust, signs))))
        self._trust = [trust + step * sign for trust, sign in zip(self._trust, signs, strict=True)]

    def _place(self, domain: str) -> int:
        place = self._places.get(domain)
        if place is not None:
            return place
        if domain == UNKNOWN:
            msg = "a domain needs a name: the empty one says that nobody knows"
            raise ValueError(msg)
        if len(self._domains) >= self.options.most_domains:
            msg = f"no room for the domain {domain!r}: there are {len(self._domains)} (raise most_domains)"
            raise ValueError(msg)
        self._add(domain)
        return self._places[domain]

    def _add(self, domain: str) -> None:
        self._places[domain] = len(self._domains)
        self._domains.append(domain)
        self._weights.add()
        self._squares.add()

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what `restore` takes, as arrays that can be saved: only the buckets that were ever touched."""
        used = self._squares.used(range(len(self._domains)))
        return {
            "version": np.array(STATE_VERSION),
            "domains": np.array(self._domains, np.str_),
            "used": used,
            "weights": self._weights.take(used),
            "squares": self._squares.take(used) + _FIRST_SQUARE,
            "trust": np.array(self._trust),
            "examples": np.array(self.examples),
            **{f"rarity.{name}": value for name, value in self._rarity.state().items()},
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state over. ValueError: it is of another version, or does not fit."""
        if int(state["version"]) != STATE_VERSION:
            msg = f"saved domains are of version {int(state['version'])}; this program reads {STATE_VERSION}"
            raise ValueError(msg)
        domains, used = [str(each) for each in state["domains"]], state["used"]
        fits = state["weights"].shape == state["squares"].shape == (len(used), len(domains))
        if not fits or not are_buckets(used) or len(state["trust"]) != len(_FIRST_TRUST):
            msg = f"saved weights have the shape {state['weights'].shape}; {len(used)} buckets, {len(domains)} domains"
            raise ValueError(msg)
        self._domains, self._places, self._weights, self._squares = [], {}, BucketTable(), BucketTable()
        for domain in domains:
            self._add(domain)
        self._weights.put(used, np.asarray(state["weights"], np.float32))
        self._squares.put(used, np.asarray(state["squares"], np.float32) - _FIRST_SQUARE)
        self._trust = np.asarray(state["trust"], np.float64).tolist()
        self.examples = int(state["examples"])
        self._rarity.restore({name.removeprefix("rarity."): state[name] for name in state if name[:7] == "rarity."})


def _best(scores: Sequence[float]) -> tuple[int, tuple[float, float, float]]:
    """Return the place of the best score; and a constant, that score, and its lead."""
    top = max(scores)
    best = scores.index(top)
    second = max(max(scores[:best], default=-inf), max(scores[best + 1 :], default=-inf))
    return best, (1.0, top, top - (second if len(scores) > 1 else -1.0))


def _sigmoid(score: float) -> float:
    return 1.0 / (1.0 + exp(-max(-30.0, min(30.0, score))))
