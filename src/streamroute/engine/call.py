"""A client's request as the dispatcher takes it: what is asked, and what came around it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.core.caller import ANYONE, Caller
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import NO_REQUIREMENTS, Requirements
from streamroute.core.upstream import LatencyClass, Midstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A client's request with what came around it."""

    request_id: str
    chat: ChatRequest
    arrived_at: float
    """Monotonic seconds."""
    forwarded: Mapping[str, str] = field(default_factory=dict)
    """Headers for the provider, allow-listed."""
    timeout_s: float | None = None
    """The client's own limit for the whole request."""
    first_token_timeout_s: float | None = None
    max_attempts: int | None = None
    attempt: int = 1
    """Which call for the same request this is. Above 1 another sidecar is trying again already: then one call is made,
    for attempts add up and must not multiply."""
    latency_class: LatencyClass | None = None
    """None: the route's."""
    requirements: Requirements = NO_REQUIREMENTS
    """What the client said in headers and in the body; what it did not, its route may."""
    midstream: Midstream | None = None
    """What the client wants done about an answer that breaks off; None: what the route says."""
    affinity_key: str | None = None
    """Names the conversation, for upstreams that cache its prompts."""
    decision_id: str | None = None
    """Under which the decision is kept, for `/status/decisions`; None: it is not kept."""
    ledger_id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex}")
    """See `AttemptObservation`."""
    attribution: Attribution = NOBODY
    tells_cost: bool = True
    """Beside the usage of a stream, where the client wants that."""
    caller: Caller = ANYONE
    """Whose key limits what may be asked; `attribution` has its defaults already."""
