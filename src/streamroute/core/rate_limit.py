"""What a provider says, with every answer, of how much of its rate limit is left."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitReport:
    """One response's figures; None where the provider names none. `wire.rate_limit` reads them."""

    limit_requests: int | None = None
    remaining_requests: int | None = None
    reset_requests_s: float | None = None
    """Seconds until the window is whole again, or begins anew."""
    limit_tokens: int | None = None
    remaining_tokens: int | None = None
    reset_tokens_s: float | None = None
