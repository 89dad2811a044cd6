"""What each kind of failure means: whose fault it is, and what may be done about it. One table.

Source of the split: linkerd2-proxy and Envoy separate "local origin" from the peer's errors, h11 splits errors first
by whose fault they are; the rows follow the published error codes of OpenAI, Anthropic and llama.cpp.
"""

from dataclasses import dataclass
from typing import Literal

from streamroute.core.outcome import FailureKind

NextStep = Literal[
    "another",          # ask the next upstream
    "larger_context",   # ask an upstream whose context is larger or unknown
    "return",           # it is the client's: return it once, unchanged in meaning
    "stop",             # there is no more time, or no one left to answer
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """How one kind of failure is treated."""

    next_step: NextStep
    counts: bool = False
    """Evidence against the upstream's health."""
    is_transient: bool = False
    """The same upstream may well succeed in a moment."""
    blocks_for_s: float | None = None
    """Seconds for which the upstream is out without waiting for more evidence: a person has to act."""


_RECHECK_S = 300.0
"""Rejected credentials and empty accounts are looked at again after five minutes, or after a reload."""

DISPOSITIONS: dict[FailureKind, Disposition] = {
    "connect_error": Disposition(next_step="another", counts=True, is_transient=True),
    "stale_connection": Disposition(next_step="another", is_transient=True),
    "local_limit": Disposition(next_step="stop"),
    "reset": Disposition(next_step="another", counts=True, is_transient=True),
    "connect_timeout": Disposition(next_step="another", counts=True, is_transient=True),
    "headers_timeout": Disposition(next_step="another", counts=True),
    "first_token_timeout": Disposition(next_step="another", counts=True),
    "answer_timeout": Disposition(next_step="another", counts=True),
    "stall": Disposition(next_step="another", counts=True),
    "total_timeout": Disposition(next_step="stop"),
    "server_error": Disposition(next_step="another", counts=True, is_transient=True),
    "overloaded": Disposition(next_step="another", counts=True, is_transient=True),
    "rate_limited": Disposition(next_step="another"),
    "quota_exhausted": Disposition(next_step="another", blocks_for_s=_RECHECK_S),
    "auth_failed": Disposition(next_step="another", blocks_for_s=_RECHECK_S),
    "model_not_found": Disposition(next_step="another"),
    "context_length_exceeded": Disposition(next_step="larger_context"),
    "content_filtered": Disposition(next_step="return"),
    "client_error": Disposition(next_step="return"),
    "empty": Disposition(next_step="another", counts=True, is_transient=True),
    "malformed": Disposition(next_step="another", counts=True, is_transient=True),
    "truncated": Disposition(next_step="another", counts=True, is_transient=True),
    "not_continuable": Disposition(next_step="stop"),
    "seam_mismatch": Disposition(next_step="another"),
    "blocked": Disposition(next_step="another"),
    "over_budget": Disposition(next_step="another"),
    "shutting_down": Disposition(next_step="stop"),
}


def disposition(kind: FailureKind) -> Disposition:
    """Return how failures of `kind` are treated."""
    return DISPOSITIONS[kind]
