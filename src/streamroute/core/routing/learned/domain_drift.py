"""Whether a domain still asks what it used to ask: told by its words, before any answer was looked at.

What accepting loses shows slowly. On recorded questions one of another kind loses .1 of quality with a standard
deviation of .5, so that two standard errors are a hundred looks, which is three thousand requests where 3 % are
audited. Its words show at once: law has two to three times as many that the models never learned from as the domains
that they were fitted on. So the share of such words is watched by a cumulative sum (Page, 1954) of how much it exceeds
what is usual in the domain, in standard deviations, less an allowance. Past its limit the domain is a new one
(`domain_guard`), whatever it is called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

STRANGE_WORDS = "its questions have words that the policy never learned from"
"""Why a domain that has changed is a new one, for people."""
ALLOWANCE = 0.5
"""Standard deviations that are not counted: a shift of twice as many is found soonest."""
LIMIT = 10.0
"""Standard deviations, summed up. Normal shares would pass it once in about 100,000 requests; a shift of 1.7 (law)
takes nine, one of .7 fifty."""
MOST = 3.0
"""Standard deviations that one question may add: it takes four that are wholly others, for one is an odd question."""
_FEWEST = 30
"""Questions that tell what is usual in a domain: the standard error of the mean is then a fifth of a deviation."""
_LEAST_DEVIATION = 0.02
"""Of the share of unknown words: one word and its pairs in a hundred; questions of one template hardly differ."""


@dataclass(frozen=True, slots=True)
class UsualWords:
    """The share of unknown words (0..1) in questions of a domain that the models had not seen."""

    mean: float
    deviation: float
    """Standard deviation from question to question, above 0."""


def usual_words(domains: Sequence[str], shares: NDArray[np.float64]) -> Mapping[str, UsualWords]:
    """Return what is usual by domain, from one question a row; what it is over all where a domain has few."""
    of = np.array(domains)
    found = {}
    for domain in sorted(set(domains)):
        own = shares[of == domain]
        own = own if len(own) >= _FEWEST else shares
        found[domain] = UsualWords(float(own.mean()), max(_LEAST_DEVIATION, float(own.std())))
    return found


@dataclass(slots=True)
class DomainDrift:
    """The watch over one domain that the models were fitted on."""

    usual: UsualWords
    excess: float = field(default=0.0)
    """The sum so far, standard deviations."""

    @property
    def has_changed(self) -> bool:
        """It asks something else; that stays so."""
        return self.excess > LIMIT

    def asked(self, unknown_share: float) -> bool:
        """A question came, of whose words this share was never learned from: return whether that is what shows that
        the domain has changed."""
        was_changed = self.excess > LIMIT
        if not was_changed:
            step = min(MOST, (unknown_share - self.usual.mean) / self.usual.deviation - ALLOWANCE)
            self.excess = max(0.0, self.excess + step)
        return self.excess > LIMIT and not was_changed
