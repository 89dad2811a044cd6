"""What is written down during a run, for the figures."""

from dataclasses import dataclass, field

from streamroute.core.outcome import AttemptCause


@dataclass(slots=True)
class CallRecord:
    """One call to one provider."""

    provider: str
    cause: AttemptCause
    at: float
    ended_at: float = 0.0
    was_connected: bool = False
    is_error: bool = False
    """Refused with a status, or not connected: nobody bills that."""
    tokens: int = 0
    """That came until its end."""
    limited_until: float | None = None
    """It was answered with 429, and asked to wait until then; its end where it named no time."""
    is_free: bool = False
    """No model was asked: a connection, or a list of models."""
    was_used: bool = False
    """The client has text of it."""


@dataclass(slots=True)
class RequestRecord:
    """One client request."""

    number: int
    arrived_at: float
    prompt_tokens: int
    output_tokens: int
    primary: str | None = None
    """Whom it was first sent to."""
    calls: list[CallRecord] = field(default_factory=list)
    ttft_s: float | None = None
    is_whole: bool = False
    error: str | None = None
    lost_chars: int = 0
    repeated_chars: int = 0
    seam_gaps_s: list[float] = field(default_factory=list)
    """Silence the client saw where one answer was joined to another."""


@dataclass(slots=True)
class RunRecord:
    """One policy in one scenario with one seed."""

    requests: list[RequestRecord] = field(default_factory=list)
    openings: list[tuple[float, str]] = field(default_factory=list)
    """(when, provider): it was shut out by its breaker, ejected or set to cool down."""
    steers: list[tuple[float, str]] = field(default_factory=list)
    """(when, provider): the policy began to keep away from it."""
    probes: list[CallRecord] = field(default_factory=list)
    """Calls that no client asked for."""
