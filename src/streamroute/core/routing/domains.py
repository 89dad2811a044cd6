"""What a question is about, by examples: requests whose domain somebody has said.

Until enough examples are there, and of a text that is like none of them, the terms of a field decide
(`core.routing.analysis.TermDomains`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.subject_text import SubjectText
from streamroute.core.routing.analysis import GENERAL, TERMS, Words
from streamroute.core.routing.learned.domain_classifier import UNKNOWN, DomainClassifier
from streamroute.core.routing.rules import OneOf, Rule
from streamroute.core.upstream import Upstream

LEAST_EXAMPLES = 20
"""Of a domain, before it counts: on CLINC150's domains so many a domain give about nine right of ten."""
LEAST_DOMAINS = 2
"""That have so many: one alone would be found everywhere."""


class LearnedDomains:
    """Learns one example at a time; a `core.routing.analysis.DomainClassifier`."""

    def __init__(self) -> None:
        self._model = DomainClassifier()
        self._examples: dict[str, int] = {}

    @property
    def domains(self) -> tuple[str, ...]:
        """The names that it can give."""
        return tuple(dict.fromkeys((*TERMS.domains, *self._model.domains)))

    @property
    def is_ready(self) -> bool:
        """Whether enough was learned to be asked."""
        return sum(count >= LEAST_EXAMPLES for count in self._examples.values()) >= LEAST_DOMAINS

    def classify(self, words: Words) -> tuple[str, float]:
        """Return a domain and how often such a guess is right."""
        if self.is_ready:
            guess = self._model.classify(words.read())
            if guess.domain != UNKNOWN and self._examples.get(guess.domain, 0) >= LEAST_EXAMPLES:
                return guess.domain, guess.confidence
        return TERMS.classify(words)

    def learn(self, read: SubjectText, domain: str) -> None:
        """Take in one example; one too many domains are left out."""
        room = len(self._model.domains) < self._model.options.most_domains
        if domain and len(read.words) and (room or domain in self._examples):
            self._model.learn(read, domain)
            self._examples[domain] = self._examples.get(domain, 0) + 1

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what was learned, as arrays."""
        counts = np.array([self._examples.get(domain, 0) for domain in self._model.domains])
        return {**self._model.state(), "counts": counts}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what was learned before; raises ValueError or KeyError, and then it is as it was."""
        model = DomainClassifier()
        model.restore(state)
        counts = [int(each) for each in state["counts"]]
        examples = dict(zip(model.domains, counts, strict=True))
        self._model, self._examples = model, examples


def spoken_of(upstreams: Iterable[Upstream], rules: Sequence[Rule] = ()) -> frozenset[str]:
    """Return the domains that the configuration speaks of, and those that are known by their terms: no others are
    learned, whatever clients make up."""
    names = {GENERAL, *TERMS.domains}
    for each in upstreams:
        names |= {*each.domains, *(() if each.quality is None else each.quality.by_domain)}
    for rule in rules:
        for condition in rule.when:
            if isinstance(condition, OneOf) and condition.feature == "domain":
                names |= condition.names
    return frozenset(names)
