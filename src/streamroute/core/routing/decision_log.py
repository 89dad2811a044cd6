"""The last decisions and what came of them, for people who ask why a request went where it went."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.core.observation import AttemptObservation, Traits
from streamroute.core.outcome import AttemptCause, OutcomeKind
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.quality.verdict import Verdict
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import NO_REQUIREMENTS
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.matching import Bid
from streamroute.core.upstream import Deadlines, UpstreamId

MAX_DECISIONS = 1000
"""About 5 kB each with ten upstreams, so 5 MB at most."""
MAX_CALLS = 24
"""Of one request, made or not; more than plans ask for."""


@dataclass(frozen=True, slots=True)
class Made:
    """A call that has ended, and the deadlines that were in force for it."""

    observation: AttemptObservation
    deadlines: Deadlines


@dataclass(frozen=True, slots=True)
class NotMade:
    """A call that the plan wanted, and why it was not to be."""

    upstream: UpstreamId
    cause: AttemptCause
    reason: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A held answer, and what was thought of it."""

    upstream: UpstreamId
    verdict: Verdict
    accept_at: float | None
    """The least score that was asked of it; None: a fitted policy decided."""
    is_accepted: bool

    def outcome(self, decision_id: str) -> QualityOutcome:
        """Return it as what was found out about an answer of a decision."""
        return QualityOutcome(
            decision_id=decision_id, upstream=self.upstream, score=self.verdict.score, source="assessor"
        )


class DecisionRecord:
    """One decision, when it was made (monotonic seconds), and what has become of its calls since."""

    __slots__ = (
        "answered_by", "at", "attribution", "calls", "decision", "hedge_after_s", "id", "outcome", "outcomes",
        "refusal", "request", "requirements",
    )  # fmt: skip

    def __init__(
        self, id_: str, decision: Decision, at: float, hedge_after_s: float | None, attribution: Attribution
    ) -> None:
        self.id = id_
        self.decision = decision
        self.at = at
        self.hedge_after_s = hedge_after_s
        self.attribution = attribution
        self.request: ChatRequest | None = None
        """Without its body; None: nobody wants to know."""
        self.requirements = NO_REQUIREMENTS
        """As they were said; what the route says is not in them."""
        self.outcome: OutcomeKind | None = None
        """None: it is under way."""
        self.refusal: str | None = None
        """What the client was told where nobody would do; None: somebody was to be asked."""
        self.answered_by: UpstreamId | None = None
        """Who began the answer that the client got."""
        self.calls: Sequence[Made | NotMade | Judged] = ()
        self.outcomes: Sequence[QualityOutcome] = ()
        """How good answers turned out to be: one of each source about each upstream."""

    def judged(self, outcome: QualityOutcome) -> QualityOutcome:
        """Keep how good an answer was, and return what is kept: the first of its source about its upstream stays."""
        for known in self.outcomes:
            if (known.source, known.upstream) == (outcome.source, outcome.upstream):
                return known
        if len(self.outcomes) < MAX_CALLS:
            self.outcomes = (*self.outcomes, outcome)
        return outcome

    def traits(self, upstream: UpstreamId | None) -> Traits:
        """Return what was known of the request, and of one that may have answered it."""
        return traits(self.decision, upstream, self.requirements.domain)


class DecisionLog:
    """Keeps the newest `size` decisions as they are: nothing is put into words before somebody reads it."""

    def __init__(self, size: int = MAX_DECISIONS) -> None:
        self.size = size
        self.keeps_requests = False
        """Keep what was asked for too, without the body."""
        self._records: dict[str, DecisionRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def add(
        self,
        decision_id: str,
        decision: Decision,
        at: float,
        hedge_after_s: float | None = None,
        attribution: Attribution = NOBODY,
        request: ChatRequest | None = None,
    ) -> DecisionRecord:
        """Keep a decision, and forget the oldest where there are too many."""
        self._records.pop(decision_id, None)
        record = self._records[decision_id] = DecisionRecord(decision_id, decision, at, hedge_after_s, attribution)
        if self.keeps_requests and request is not None:
            record.request = replace(request, payload={})
        if len(self._records) > self.size:
            del self._records[next(iter(self._records))]
        return record

    def called(self, decision_id: str, call: Made | NotMade | Judged) -> None:
        """Add what became of a call; one of a decision that is forgotten, or beyond `MAX_CALLS`, is not kept."""
        record = self._records.get(decision_id)
        if record is not None and len(record.calls) < MAX_CALLS:
            record.calls = (*record.calls, call)

    def ended(self, decision_id: str, outcome: OutcomeKind, answered_by: UpstreamId | None) -> None:
        """Note how the request ended, and who answered."""
        record = self._records.get(decision_id)
        if record is not None:
            record.outcome, record.answered_by = outcome, answered_by

    def get(self, decision_id: str) -> DecisionRecord | None:
        """Return a decision that is still kept."""
        return self._records.get(decision_id)

    def latest(self, count: int) -> list[DecisionRecord]:
        """Return the newest, newest first."""
        return list(islice(reversed(self._records.values()), count))


def traits(decision: Decision, upstream: UpstreamId | None, domain: str | None = None) -> Traits:
    """Return what a decision knew of its request, and of one that may answer it; `domain` is what was said."""
    route, bid = decision.route, bid_of(decision, upstream)
    first = decision.candidates[0].upstream.id if decision.candidates else None
    return Traits(
        domain=domain if decision.matched is None else decision.matched.domain,
        tier=route.tier_of(upstream) if route.tiers and upstream is not None else None,
        predicted=None if bid is None or bid.quality is None else bid.quality.mean,
        propensity=decision.propensity if upstream == first else None,
    )


def bid_of(decision: Decision, upstream: UpstreamId | None) -> Bid | None:
    """Return what an upstream was held to offer; None where the request was not matched."""
    bids = (bid for tier in decision.tiers if tier.matched is not None for bid in tier.matched.bids)
    return next((bid for bid in bids if bid.upstream.id == upstream), None)
