"""How an attempt ended, and the closed list of ways it can fail."""

from dataclasses import dataclass
from typing import Literal

FailureKind = Literal[
    # below HTTP
    "connect_error",        # refused, unreachable, DNS, TLS: nothing was processed
    "stale_connection",     # a pooled connection that the provider had closed while it was idle: nothing was processed
    "reset",                # the connection broke after the request was sent
    "local_limit",          # no socket left for this process: our shortage, not the upstream's
    # our deadlines
    "connect_timeout",
    "headers_timeout",
    "first_token_timeout",
    "answer_timeout",
    "stall",
    "total_timeout",
    # what the provider said
    "server_error",         # 5xx, or an error event in a stream without a better name
    "overloaded",           # 503 and 529
    "rate_limited",         # 429
    "quota_exhausted",      # 402, insufficient_quota: waiting does not help
    "auth_failed",          # 401, 403: our credential, not the client's
    "model_not_found",      # the provider does not know the upstream's model
    "context_length_exceeded",
    "content_filtered",
    "client_error",         # any other 4xx
    # answers that are no answer
    "empty",
    "malformed",
    "truncated",            # ended without a finish reason
    # ourselves
    "blocked",              # not asked: its breaker is open, or its credential must wait
    "shutting_down",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an attempt did not succeed."""

    kind: FailureKind
    message: str
    """For people; carries no secret and no prompt text."""
    http_status: int | None = None
    retry_after_s: float | None = None
    """What the provider asked us to wait, in seconds from when it was received; capped by who parsed it."""
    error_body: bytes | None = None
    """The provider's error in its own wire format, for failures that are the client's; bounded."""

    def without_quotes(self) -> "Failure":
        """Return what may be logged and shown to operators: complaints about a request can quote its text."""
        if self.kind not in _ABOUT_THE_REQUEST:
            return self
        return Failure(
            kind=self.kind,
            message="the provider's words can quote the request: they were told to the client only",
            http_status=self.http_status,
            retry_after_s=self.retry_after_s,
        )


_ABOUT_THE_REQUEST: frozenset[FailureKind] = frozenset(
    {"client_error", "context_length_exceeded", "content_filtered", "model_not_found"}
)


OutcomeKind = Literal["succeeded", "failed", "cancelled"]
CancelReason = Literal["client_gone", "lost", "shutting_down", "aborted"]
