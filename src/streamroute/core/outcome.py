"""How an attempt ended, and the closed list of ways it can fail."""

from collections.abc import Collection
from dataclasses import dataclass, replace
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
    # continuations
    "not_continuable",      # what the client has cannot be carried on: tool calls, log probabilities, too long
    "seam_mismatch",        # the continuation does not follow on what was delivered
    # ourselves
    "blocked",              # not asked: its breaker is open, its credential must wait, or there are calls enough
    "over_budget",          # not asked: somebody's money does not suffice
    "shutting_down",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an attempt did not succeed."""

    kind: FailureKind
    message: str
    """For people, without secrets. The client may read it whoever wrote it; logs and `/status` get `without_quotes`."""
    http_status: int | None = None
    retry_after_s: float | None = None
    """What the provider asked us to wait, in seconds from when it was received; capped by who parsed it."""
    error_body: bytes | None = None
    """The provider's error in its own wire format, for failures that are the client's; bounded."""
    is_clients_limit: bool = False
    """A deadline that the client had set passed: no evidence against the upstream."""
    is_quote: bool = False
    """`message` is the provider's wording, which can quote the request."""
    provider_code: str | None = None
    """The provider's word for what happened, such as `server_error`: one word, never a sentence."""

    def without_quotes(self) -> "Failure":
        """Return what may be logged and shown to operators: no wording that can contain a prompt or an answer."""
        if not self.is_quote:
            return self
        said = f"the provider said {self.provider_code!r}" if self.provider_code else "the provider gave no code"
        return replace(self, message=f"{said}; its wording went to the client only", error_body=None, is_quote=False)

    def scrubbed(self, secrets: Collection[str]) -> "Failure":
        """Return the failure without any of `secrets`, wherever they were repeated."""
        message, body, code = self.message, self.error_body, self.provider_code
        for secret in secrets:
            code = None if code and secret in code else code
            message = message.replace(secret, "[redacted]")
            body = body.replace(secret.encode(), b"[redacted]") if body is not None else None
        return replace(self, message=message, error_body=body, provider_code=code)


AttemptCause = Literal[
    "first", "failover", "hedge", "race", "probe", "continuation", "escalation", "speculation",
    "agreement", "judge", "audit",
]  # fmt: skip
"""Why a call was made. `probe`: a user's request that also tries an upstream on its way back, beside its primary.
`escalation`: the answer of a smaller model was not good enough, or there was none. `speculation`: a larger model was
started beside a small one that took long. `agreement`, `judge` and `audit` ask what an answer is worth."""
CROSS_CHECKS: frozenset[AttemptCause] = frozenset({"agreement", "judge", "audit"})
"""Calls whose text no client gets: they tell what that of another call is worth."""
NOT_ASKED: frozenset[FailureKind] = frozenset({"blocked", "over_budget"})
"""Of calls that were not to be made: they say nothing about an upstream."""
OutcomeKind = Literal["succeeded", "failed", "cancelled"]
CancelReason = Literal["client_gone", "lost", "shutting_down", "aborted"]
