"""What an attempt is given: whom to ask for what, and whom to tell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.core.execution.events import AttemptEvent, AttemptId
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import AttemptCause
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Rung, Upstream
from streamroute.engine.decoding import StreamDecoder
from streamroute.providers.provider import Provider
from streamroute.providers.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOptions:
    """What an attempt works with."""

    attempt: AttemptId
    cause: AttemptCause
    request_id: str
    ledger_id: str
    """See `AttemptObservation`."""
    attribution: Attribution = NOBODY
    route: str
    chat: ChatRequest
    """What is asked: the client's request, or the follow-on request of a continuation."""
    rung: Rung | None = None
    """Of a continuation."""
    decoder: Callable[[], StreamDecoder]
    """Makes what reads the stream."""
    clean: Callable[[bytes], bytes] | None = None
    """Takes out of a held answer what only we have asked for, before it is delivered."""
    upstream: Upstream
    provider: Provider
    transport: Transport
    forwarded: Mapping[str, str]
    """Client headers for the provider, allow-listed."""
    notify: Callable[[AttemptEvent], None]
    """Told what happens, for the plan."""
    connected: Callable[[], None]
    """Told once, when there is a connection."""
    first_token: Callable[[], None]
    """Told once, when the upstream shows its first content, whether or not the client gets any."""
    reported: Callable[[RateLimitReport], None]
    """Told once, with the response's headers, where they say how much of the rate limit is left."""
    settled: Callable[[AttemptObservation], None]
    """Told once, at the end, before the plan is."""
