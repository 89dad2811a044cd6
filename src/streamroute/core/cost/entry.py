"""The entries of the ledger: one for each attempt, each request, each judgement of an answer. Facts, never changed
once written.

They carry no prompt, no answer and no key. `ledger_id` and `attempt` name an entry for all time: writing it again
changes nothing. Nobody changes one; they are not frozen because that would make one of them 5 us dearer.
"""

from dataclasses import dataclass

from streamroute.core.money import Money


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class AttemptEntry:
    """One call to one upstream."""

    ledger_id: str
    """Of its request, or of a probe. Unique for all time."""
    attempt: int
    """1-based within its request."""
    request_id: str
    """What logs and the client call it; perhaps the client's own, and then not unique."""
    ended_at_ms: int
    """Milliseconds since the Unix epoch."""
    cause: str
    rung: str | None
    outcome: str
    failure: str | None
    """The kind."""
    cancel_reason: str | None
    route: str | None
    """None: of an active probe, which no client has asked for."""
    upstream: str
    provider: str
    model: str
    tier: str | None
    """The service tier, as the provider reported it, else as it was asked for."""
    task: str | None
    user: str | None
    team: str | None
    key: str | None
    input_tokens: int
    """Charged ones; includes those of the cache."""
    output_tokens: int
    """Charged ones; includes reasoning."""
    cached_input_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    is_counted: bool
    """By the provider; else it is our own count, or nothing was charged."""
    cost: Money | None
    """None: nobody knows the price."""
    price_source: str | None
    ttft_s: float | None
    duration_s: float
    sidecar: str | None = None
    """Which process has made the call, from its start to its end; None: written by an earlier version."""
    is_rejected: bool = False
    """Its answer is whole, and was not good enough to be delivered."""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class RequestEntry:
    """One request of a client. What it cost is the sum of its attempts, and is written nowhere else."""

    ledger_id: str
    request_id: str
    ended_at_ms: int
    outcome: str
    failure: str | None
    route: str
    upstream: str | None
    """Who answered, if anyone."""
    provider: str | None
    model: str | None
    task: str | None
    user: str | None
    team: str | None
    key: str | None
    attempts: int
    ttft_s: float | None
    duration_s: float
    domain: str | None = None
    """What it was about, where anybody knew; it and the following are None also in entries of earlier versions."""
    route_tier: int | None = None
    """Of the route's tiers, the one of `upstream`, 0 for the smallest models."""
    predicted: float | None = None
    """How good the answer was expected to be, 0..1."""
    propensity: float | None = None
    """The chance with which `upstream` was the one to be asked first."""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class QualityEntry:
    """How good an answer turned out to be. One of each source about each upstream of a request."""

    ledger_id: str
    """Of the request; also the id of its decision."""
    source: str
    upstream: str
    ended_at_ms: int
    """When it was found out."""
    score: float
    """0..1."""
    weight: float
    """One over the chance that this answer came to be judged."""
    label: str | None
    route: str | None
    """None, as all that follows, where nobody knew the request any more."""
    task: str | None
    key: str | None
    domain: str | None
    route_tier: int | None
    """As in `RequestEntry`, but of the upstream that was judged."""
    predicted: float | None


Entry = AttemptEntry | RequestEntry | QualityEntry
