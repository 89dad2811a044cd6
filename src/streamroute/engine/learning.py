"""Learns how good upstreams are from what becomes of their answers, and tells it to who decides.

Whoever finds out about an answer publishes it on the bus; a person's word and an audit are learned from. What held
answers show by themselves (`assessor`) is not: such checks see form, so they call most answers good whether they are
right or not, and there is one for every request, which would drown all others.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from numpy.typing import NDArray

from streamroute.core.observation import Observation, QualityObservation
from streamroute.core.quality.quality_outcome import QualitySource
from streamroute.core.routing.analysis import Analysis
from streamroute.core.routing.domains import LearnedDomains
from streamroute.core.routing.learned.outcome_table import OutcomeTable
from streamroute.core.routing.matching import QualityEstimate
from streamroute.core.upstream import Upstream, UpstreamId

LEARNED_FROM: frozenset[QualitySource] = frozenset({"feedback", "audit"})
EXAMPLE_EVERY_S = 0.05
"""Between two examples of what questions are about: learning one takes about 0.2 ms, so 0.4 % of the time at most."""
MAX_WEIGHT = 50.0
"""Of one outcome: an audit of one answer in fifty. More would let single answers decide."""


class Learning:
    """A listener for the bus, and a source of estimates (`core.routing.matching.QualityEstimates`)."""

    def __init__(self) -> None:
        self.table = OutcomeTable()
        self.domains = LearnedDomains()
        self._learned_at = -inf
        self.version = 0
        """Grows with whatever is learned or forgotten."""

    def of(self, analysis: Analysis, upstreams: Sequence[Upstream]) -> Sequence[QualityEstimate | None]:
        """Return an estimate for each upstream that has outcomes, None for the others."""
        names = [each.id for each in upstreams]
        counts = [self.table.count(name) for name in names]
        if not any(counts):
            return [None] * len(names)
        means, sds = self.table.estimate(analysis.domain, names)
        return [
            QualityEstimate(float(mean), float(sd), f"learned ({count} outcomes)") if count else None
            for mean, sd, count in zip(means, sds, counts, strict=True)
        ]

    def __call__(self, observation: Observation) -> None:
        """Hear an observation."""
        if not isinstance(observation, QualityObservation) or observation.outcome.source not in LEARNED_FROM:
            return
        outcome = observation.outcome
        weight = min(MAX_WEIGHT, 1.0 / outcome.propensity)
        self.table.learn(outcome.upstream, observation.traits.domain, outcome.score, weight)
        self.version += 1

    def example(self, text: str, domain: str, at: float) -> None:
        """Learn that a question was of a domain; `at` is in monotonic seconds. Of many not all are learned."""
        if at - self._learned_at >= EXAMPLE_EVERY_S:
            self._learned_at = at
            self.domains.learn(text, domain)
            self.version += 1

    def forget(self, upstream: UpstreamId | None, domain: str | None) -> int:
        """Forget what was learned, of an upstream and in a domain where they are given; return how many outcomes."""
        count = self.table.forget(upstream, domain)
        self.version += 1
        return count

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what was learned, as arrays."""
        parts = {"table": self.table.state(), "domains": self.domains.state()}
        return {f"{part}_{name}": array for part, state in parts.items() for name, array in state.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what was learned before; raises ValueError or KeyError, and then it is as new."""
        table, domains = OutcomeTable(), LearnedDomains()
        table.restore(_part("table_", state))
        subjects = _part("domains_", state)
        if subjects:  # an older file has none
            domains.restore(subjects)
        self.table, self.domains = table, domains


def _part(prefix: str, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
