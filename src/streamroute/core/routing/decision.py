"""What routing has decided for one request, and why."""

from dataclasses import dataclass

from streamroute.core.health.standing import WELL, Estimate, Standing
from streamroute.core.routing.matching import Matched
from streamroute.core.upstream import LatencyClass, PlanName, Route, Upstream, UpstreamId

UNKNOWN = Estimate(ttft_s=1.0, normal_ttft_s=1.0)


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Candidate:
    """An upstream that may serve the request, and how it stood when that was decided.

    Nobody changes one; it is not frozen for the reason that `Estimate` is not.
    """

    upstream: Upstream
    standing: Standing = WELL
    estimate: Estimate = UNKNOWN
    weight: float = 1.0
    """Its share of such requests, relative to the other candidates'; at least 0."""
    reasons: tuple[str, ...] = ()
    """What made the weight, in words, for `explain`."""

    @property
    def has_room(self) -> bool:
        """It bears calls beside the first ones: no ramp, rate limit or learned limit holds it back."""
        estimate = self.estimate
        return estimate.capacity >= 1.0 and estimate.in_flight < estimate.in_flight_limit

    def is_ready_at(self, now: float) -> bool:
        """Nothing that was known then speaks against asking it now; who gives the permit knows better."""
        return self.standing.can_ask or (self.standing.until is not None and self.standing.until <= now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An upstream that may not, and the reason in words."""

    upstream: UpstreamId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whom to ask, in order."""

    route: Route
    candidates: tuple[Candidate, ...]
    """In the order in which they should be asked."""
    rejected: tuple[Rejected, ...] = ()
    plan: PlanName = "failover"
    latency_class: LatencyClass = "interactive"
    probe: Candidate | None = None
    """Half open: to be tried beside the first candidate, by a call of its own; not among `candidates`."""
    is_exploring: bool = False
    """The first candidate was chosen to learn how it is, not because it is best: a hedge may come early."""
    is_panic: bool = False
    """So much is in trouble that health does not decide: no hedge, no race."""
    propensity: float = 1.0
    """The chance, above 0, with which chance would have put the first candidate first."""
    reasons: tuple[str, ...] = ()
    """What was decided and why, in words, for `explain`."""
    matched: Matched | None = None
    """What it was matched by; None: it was not."""
    next_tier: "Decision | None" = None
    """Whom to ask where the answer of these is not good enough; None: what they say is delivered."""

    @property
    def tiers(self) -> tuple["Decision", ...]:
        """This one and all that follow, smallest models first."""
        return (self,) if self.next_tier is None else (self, *self.next_tier.tiers)

    @property
    def can_begin(self) -> bool:
        """Whether this tier is worth beginning with: somebody in it can be asked now."""
        return any(each.standing.can_ask and not each.standing.is_probe for each in self.candidates)

    def is_held(self, upstream: UpstreamId) -> bool:
        """Return whether an upstream's answer is judged before it is delivered."""
        return any(each.upstream.id == upstream for tier in self.tiers[:-1] for each in tier.candidates)
