"""Immutable facts, published once at the end of each attempt and each request.

Health, logs, metrics and `/status` are all fed from these. They carry no prompt, no completion and no key.
Durations are seconds; None where the phase was not reached.
"""

from dataclasses import dataclass
from typing import Literal

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.core.money import Money
from streamroute.core.outcome import AttemptCause, CancelReason, Failure, FailureKind, OutcomeKind
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.upstream import CredentialId, LatencyClass, ProviderName, Rung, UpstreamId
from streamroute.core.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What routing knew of a request, and of one that may answer it; None where it did not."""

    domain: str | None = None
    tier: int | None = None
    """Of the route's, 0 for the smallest models."""
    predicted: float | None = None
    """How good the answer was expected to be, 0..1."""
    propensity: float | None = None
    """The chance, above 0, with which it was the one to be asked first."""


NO_TRAITS = Traits()

ProbeStep = Literal["connect", "models", "completion"]
"""What an active probe does, the cheapest first: a connection, `GET /models`, one token of a completion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """What of an attempt is paid for, and what that costs."""

    usage: Usage
    is_counted: bool
    """By the provider; else it is our own count, or nothing was charged."""
    cost: Money | None
    """None: nobody knows the price."""
    price_source: str | None
    """Where the price stands; None where nothing was charged, or nobody knows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptObservation:
    """One call to one upstream, ended."""

    request_id: str
    ledger_id: str = ""
    """Names the request in the ledger; unlike `request_id` it is ours, and unique for all time."""
    attribution: Attribution = NOBODY
    attempt: int
    """1-based within its request."""
    route: str
    upstream: UpstreamId
    provider: ProviderName
    credential: CredentialId
    model: str
    stream: bool
    cause: AttemptCause = "first"
    rung: Rung | None = None
    """Of a continuation."""
    outcome: OutcomeKind
    failure: Failure | None = None
    cancel_reason: CancelReason | None = None
    http_status: int | None = None
    ended_at: float = 0.0
    """Monotonic seconds, on the clock of `streamroute.clock.now`."""
    connect_s: float | None = None
    headers_s: float | None = None
    ttft_s: float | None = None
    duration_s: float = 0.0
    paused_s: float = 0.0
    """Time in which a slow client kept us from reading; part of `duration_s`, never of a gap."""
    usage: Usage | None = None
    tier: str | None = None
    """The service tier that the provider reported, else the one that was asked for."""
    prompt_tokens: int = 0
    """Estimated from the size of the request."""
    images: int = 0
    """Of the prompt."""
    max_output_tokens: int | None = None
    """The longest answer that was asked for, all choices together; None: nobody has limited it."""
    content_events: int = 0
    """Chunks with content that came: about as many output tokens."""
    is_whole: bool = False
    """Every choice had come to its end, whatever became of the call: no more will be counted."""
    max_gap_s: float | None = None
    """The longest wait between two content chunks, pauses left out."""
    rate_limit: RateLimitReport | None = None
    is_committed: bool = False
    """The client received text of this attempt."""
    is_rejected: bool = False
    """Its answer was whole, held back, and not delivered."""
    malformed_events: int = 0
    received_bytes: int = 0
    charged: Charged | None = None
    """None: nobody has worked it out yet."""

    def with_charge(self, charged: Charged) -> "AttemptObservation":
        """Return the same with its charge: once, before it is published. To copy thirty fields takes 10 us."""
        if self.charged is not None:
            raise ValueError("an attempt is charged once")
        object.__setattr__(self, "charged", charged)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestObservation:
    """One client request, answered, failed or abandoned."""

    request_id: str
    ledger_id: str = ""
    """As of its attempts."""
    attribution: Attribution = NOBODY
    route: str
    stream: bool
    outcome: OutcomeKind
    failure: Failure | None = None
    attempts: int
    failovers: tuple[FailureKind, ...]
    """Why attempts failed that were replaced by another before the client noticed, in order."""
    latency_class: LatencyClass = "interactive"
    rescued: tuple[FailureKind, ...] = ()
    """Why the answer broke off after its first token, each time that it was carried on."""
    continuations: tuple[Rung, ...] = ()
    """How an answer that broke off was carried on, in order."""
    upstream: UpstreamId | None
    """Who answered, if anyone."""
    provider: ProviderName | None
    model: str | None = None
    """Of `upstream`."""
    route_s: float
    ttft_s: float | None
    """From the arrival of the request until the first content token was sent to the client."""
    duration_s: float
    usage: Usage | None = None
    traits: Traits = NO_TRAITS
    """With the tier and the prediction of `upstream`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityObservation:
    """How good an answer turned out to be, with what is still known of its request."""

    outcome: QualityOutcome
    route: str | None = None
    attribution: Attribution = NOBODY
    traits: Traits = NO_TRAITS
    """With the tier and the prediction of who gave the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalObservation:
    """A request that was answered with a 4xx or 503 before anyone was asked."""

    request_id: str
    http_status: int
    code: str | None
    route: str = ""
    """Of a request whose requirements nobody meets, as far as it is known; else empty."""
    unmet: tuple[str, ...] = ()
    """The requirements that nobody meets; see `core.routing.refusal.unmet`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeObservation:
    """An active probe of an upstream, ended."""

    upstream: UpstreamId
    provider: ProviderName
    step: ProbeStep
    ok: bool
    """The upstream did what this step asks of it."""
    failure: FailureKind | None = None
    http_status: int | None = None
    ended_at: float = 0.0
    """Monotonic seconds."""
    duration_s: float
    cost_usd: float = 0.0
    """By the tokens that the provider counted, else by what was set aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingObservation:
    """An upstream stands otherwise than before."""

    upstream: UpstreamId
    provider: ProviderName
    breaker: str
    """A `core.health.standing.BreakerState`."""
    standing: str
    """A `core.health.standing.StandingKind`."""
    risk: float
    reason: str
    """In words, for people; empty where nothing speaks against it."""


Observation = (
    AttemptObservation
    | RequestObservation
    | QualityOutcome
    | QualityObservation
    | RefusalObservation
    | ProbeObservation
    | StandingObservation
)
"""A `QualityOutcome` is what somebody found out; `engine.judging` makes a `QualityObservation` of it."""
