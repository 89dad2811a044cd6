"""Learns how good upstreams are from what becomes of their answers, and tells it to who decides.

Whoever finds out about an answer publishes it on the bus; a person's word and an audit are learned from. What held
answers show by themselves (`assessor`) is not: such checks see form, so they call most answers good whether they are
right or not, and there is one for every request, which would drown all others.

What is told is calibrated: outcomes are held against what was said before they were learned from. One line serves all
upstreams, so it changes nothing about whom the outcomes speak for; one for each came no nearer.

An outcome that came to be known by a draw counts as one there: by which chance depends on nothing but the request, for
which the estimate is made. Only means over requests, which are counted beside it, weigh it by one over its chance.

What a question's words were is kept for the latest requests, as hashes, so that an outcome that comes later is learned
with them; of older ones, and of requests that were not matched, only the domain is.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from streamroute.core.observation import Observation, QualityObservation
from streamroute.core.quality.calibration import OnlineCalibration
from streamroute.core.quality.quality_outcome import QualityOutcome, QualitySource
from streamroute.core.quality.subject_text import SubjectText
from streamroute.core.routing.analysis import Analysis
from streamroute.core.routing.domains import LearnedDomains
from streamroute.core.routing.learned.online_quality import OnlineQuality
from streamroute.core.routing.learned.outcome_table import OutcomeTable
from streamroute.core.routing.matching import QualityEstimate
from streamroute.core.upstream import Upstream, UpstreamId

LEARNED_FROM: frozenset[QualitySource] = frozenset({"feedback", "audit"})
EXAMPLE_EVERY_S = 0.05
"""Between two examples of what questions are about: learning one takes about 0.2 ms, so 0.4 % of the time at most."""
MAX_QUESTIONS = 1000
"""As many as decisions are kept: 3 kB each at most, 4 bytes a bucket."""

_LINE = "calibration_line"
_NO_WORDS = SubjectText(np.empty(0, np.intp), 0)
_log = structlog.get_logger(__name__)


class Learning:
    """A listener for the bus, and a source of estimates (`core.routing.matching.QualityEstimates`)."""

    def __init__(self) -> None:
        self.quality = OnlineQuality()
        self.table = OutcomeTable()
        self.domains = LearnedDomains()
        self.calibration = OnlineCalibration()
        self._questions: dict[str, NDArray[np.uint32]] = {}
        """By decision, the buckets of its words."""
        self._learned_at = -inf
        self._is_full = False
        self.version = 0
        """Grows with whatever is learned or forgotten."""

    def of(self, analysis: Analysis, upstreams: Sequence[Upstream]) -> Sequence[QualityEstimate | None]:
        """Return an estimate for each upstream that has outcomes, None for the others."""
        counts = {each.id: self.table.count(each.id) for each in upstreams}
        known = [name for name, count in counts.items() if count]
        if not known:
            return [None] * len(upstreams)
        domain, said, count_in = analysis.domain, self.calibration.probability, self.table.count_in
        try:
            means, sds, domain_sds = self.quality.believed(analysis.words.read(), domain or "", known)
        except Exception:  # noqa: BLE001 - a request is decided without what was learned, rather than not at all
            _log.exception("routing.learning_broke")
            return [None] * len(upstreams)
        by_name = {
            name: QualityEstimate(said(mean), sd, "learned", count_in(name, domain), of_domain, counts[name])
            for name, mean, sd, of_domain in zip(known, means, sds, domain_sds, strict=True)
            if 0.0 <= mean <= 1.0 and sd < inf  # no floor of quality would stop another
        }
        return [by_name.get(each.id) for each in upstreams]

    def remember(self, decision_id: str, analysis: Analysis) -> None:
        """Keep the words of a question, for outcomes that come later."""
        self._questions[decision_id] = analysis.words.read().words.astype(np.uint32)
        if len(self._questions) > MAX_QUESTIONS:
            del self._questions[next(iter(self._questions))]

    def __call__(self, observation: Observation) -> None:
        """Hear an observation."""
        if not isinstance(observation, QualityObservation) or observation.outcome.source not in LEARNED_FROM:
            return
        outcome, domain = observation.outcome, observation.traits.domain
        words = self._questions.get(outcome.decision_id)
        question = _NO_WORDS if words is None else SubjectText(words.astype(np.intp), len(words))
        try:
            self._calibrate(question, domain or "", outcome)
            self.quality.learn(question, domain or "", {outcome.upstream: outcome.score})
        except ValueError as error:  # clients name models freely: there are too many
            if not self._is_full:
                _log.warning("routing.learning_is_full", upstream=outcome.upstream, reason=str(error))
            self._is_full = True
            return
        self.table.learn(outcome.upstream, domain, outcome.score, 1.0 / outcome.propensity)
        self.version += 1

    def _calibrate(self, question: SubjectText, domain: str, outcome: QualityOutcome) -> None:
        """Hold an outcome against what was expected of it before it is learned from."""
        if self.table.count(outcome.upstream):
            said = float(self.quality.estimates(question, domain, [outcome.upstream]).means[0])
            self.calibration.learn(said, outcome.score)

    def example(self, read: SubjectText, domain: str, at: float) -> None:
        """Learn that a question was of a domain; `at` is in monotonic seconds. Of many not all are learned."""
        if at - self._learned_at >= EXAMPLE_EVERY_S:
            self._learned_at = at
            self.domains.learn(read, domain)
            self.version += 1

    def forget(self, upstream: UpstreamId | None, domain: str | None) -> int:
        """Forget what was learned, of an upstream or in a domain where they are given; return how many outcomes."""
        count = self.table.forget(upstream, domain)
        self.quality.reset(upstream=upstream, domain=domain)
        if upstream is None and domain is None:
            self.calibration = OnlineCalibration()
        self._is_full = False
        self.version += 1
        return count

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what was learned, as arrays."""
        return {name: array for part in self.parts() for name, array in part.items()}

    def parts(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Give the same in parts, each as it is when it is asked for: some of them take milliseconds to copy."""
        for part, learned in (("table", self.table), ("domains", self.domains), ("quality", self.quality)):
            yield {f"{part}_{name}": array for name, array in learned.state().items()}
        yield {_LINE: self.calibration.state()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what was learned before; raises ValueError or KeyError, and then it is as new."""
        table, domains, quality = OutcomeTable(), LearnedDomains(), OnlineQuality()
        table.restore(_part("table_", state))
        domains.restore(_part("domains_", state))
        quality.restore(_part("quality_", state))
        calibration = OnlineCalibration()
        if _LINE in state:  # older states have none
            calibration.restore(state[_LINE])
        self.table, self.domains, self.quality, self.calibration = table, domains, quality, calibration


def _part(prefix: str, state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
