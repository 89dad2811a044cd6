"""The seam between the engine and HTTP: push callbacks, no task wake-up per received block.

What an implementation promises:

1. `Transport.exchange` is cheap and starts nothing; `Exchange.run` performs the exchange and returns when it is
   over. It never raises but for cancellation of its own task: failures reach `ExchangeHandler.on_error`.
2. Callbacks come in this order: `on_connected` once, `on_head` once, `on_body` any number of times, then exactly one
   of `on_end` and `on_error`. `on_error` may come at any point. They are plain calls and must not block.
3. `abort` ends the exchange at once and closes its connection; no callback follows it, also when it is called from
   within a callback. Cancelling the task that runs the exchange does the same.
4. `pause` stops the reading of the body, `resume` carries on; what was read but not delivered is bounded.
5. No redirect is followed, no cookie kept, no environment proxy used, nothing retried.

The contract suite in `tests/providers/test_transport_contract.py` holds every implementation to this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from streamroute.errors import TransportError


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request to a provider. `headers` hold credentials, so they stay out of `repr`."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """Status line and headers of a response."""

    status: int
    headers: Mapping[str, str]
    """Case-insensitive."""


class ExchangeHandler(Protocol):
    """Who is told what happens in an exchange."""

    def on_connected(self) -> None:
        """A connection is at hand and the request is about to be sent."""

    def on_head(self, head: ResponseHead) -> None:
        """The status line and headers have arrived."""

    def on_body(self, data: bytes) -> None:
        """Take the next block of the body, never empty, content coding removed."""

    def on_end(self) -> None:
        """The body is complete by HTTP's rules."""

    def on_error(self, error: TransportError) -> None:
        """The exchange broke."""


class Exchange(Protocol):
    """One HTTP request and its response."""

    async def run(self) -> None:
        """Perform the exchange; return when it is over."""

    def pause(self) -> None:
        """Stop reading the body until `resume`. Idempotent; without effect before the head and after the end."""

    def resume(self) -> None:
        """Read on."""

    def abort(self) -> None:
        """End at once, without another callback. Idempotent."""


class Transport(Protocol):
    """Carries exchanges over pooled connections."""

    def exchange(self, request: HttpRequest, handler: ExchangeHandler) -> Exchange:
        """Prepare an exchange; `handler` is told what happens once `run` is awaited."""

    async def aclose(self) -> None:
        """Close every pooled connection."""
