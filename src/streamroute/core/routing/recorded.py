"""A decision as a workload is recorded: what it depended on, what was decided, and what came of it. No text.

What is here is what `core.routing.steering.decide` needs to decide anew; `wire.routing_log` writes and reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streamroute.core.health.standing import Estimate, Standing
from streamroute.core.money import Money
from streamroute.core.quality.quality_outcome import QualitySource
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import Requirements
from streamroute.core.routing.analysis import Features
from streamroute.core.upstream import LatencyClass, UpstreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCandidate:
    """One that might have served the request, and what was known of it."""

    upstream: UpstreamId
    tier: int | None
    """Of the route's, 0 for the smallest models."""
    standing: Standing
    estimate: Estimate
    predicted: float | None
    """How good its answer was expected to be, 0..1."""
    predicted_sd: float | None
    cost_usd: float | None
    """What one call was expected to cost; None: nobody knew its price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOutcome:
    """How good an answer turned out to be."""

    id: str
    """Of the decision."""
    upstream: UpstreamId
    source: QualitySource
    score: float
    weight: float
    """One over the chance that it came to be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """One request."""

    id: str
    at: str
    """RFC 3339, UTC."""
    route: str
    request: ChatRequest
    """Without its body."""
    latency_class: LatencyClass
    task: str | None
    domain: str | None
    requirements: Requirements
    """As the client said them."""
    features: Features | None
    """None: nobody had analysed it."""
    candidates: Sequence[RecordedCandidate]
    """In the order in which they were to be asked, tier by tier."""
    is_panic: bool
    propensity: float
    """Of the first candidate."""
    outcome: str
    answered_by: UpstreamId | None
    calls: int
    input_tokens: int
    """Of all calls, as they were charged."""
    output_tokens: int
    cost: Money | None
    """Of all calls; None: nobody knows the price of one."""
    ttft_s: float | None
    duration_s: float

    @property
    def chosen(self) -> UpstreamId:
        """Who was to be asked first."""
        return self.candidates[0].upstream
