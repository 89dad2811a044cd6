"""The seam between the engine and wire formats: what the engine asks of a provider, whatever format it speaks.

The hub form is OpenAI's chat completions, for clients send that: requests are held in it, and whatever a provider
answers, streams, whole answers and errors, has its form before the engine sees it. So everything that works on an
answer (held tool calls, seams, usage, costs, drafts) is written once. To add a format:

1. `wire/FORMAT/`, pure: the request (hub -> foreign), the stream (a `wire.translation.Translator`), whole answers,
   errors, usage.
2. `providers/FORMAT.py`: a class that does what `Provider` says; `Addressing` has what is the same for all.
3. A row in `providers.formats.FORMATS`, the name in `core.request.WireFormatName`, and presets that name it.

What an implementation promises:

- `why_not` and `request` agree: what the first has nothing against, the second can write, continuations included.
  What a format cannot say and what changes the meaning is a reason in `why_not`, never left out silently.
- Decoders return whole events in the hub's form, also where the provider's blocks are cut within a character; a stream
  that broke off is never `is_whole`.
- Token counts are in the hub's terms: `prompt_tokens` includes what was cached, `completion_tokens` the reasoning.
- Nothing here awaits, and nothing raises for what a provider has sent: that is a `Failure`.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from streamroute.core.outcome import Failure
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Rung, Upstream
from streamroute.core.usage import Usage
from streamroute.providers.options import ProviderOptions
from streamroute.providers.transport import HttpRequest
from streamroute.wire.openai_chat.answer import Answer
from streamroute.wire.openai_chat.stream import ChatStreamDecoder

CostOf = Callable[[Usage], str | None]
"""See `ChatStreamDecoder`."""


class Provider(Protocol):
    """One provider, addressed and understood."""

    @property
    def options(self) -> ProviderOptions:
        """How it is addressed."""

    @property
    def secrets(self) -> Collection[str]:
        """What providers must not get to repeat: the key, and the values of configured headers."""

    def why_not(self, chat: ChatRequest, upstream: Upstream) -> str | None:
        """Return why `chat` cannot be asked in this wire format, in words for the client; None: it can."""

    def request(
        self, chat: ChatRequest, upstream: Upstream, forwarded: Mapping[str, str], rung: Rung | None = None
    ) -> HttpRequest:
        """Write the HTTP request for one attempt; `forwarded` are client headers, already allow-listed. `rung` says
        that `chat` is a continuation. Raises RequestError where `why_not` has a reason."""

    def models_request(self) -> HttpRequest:
        """Write a request that costs nothing, for probes: the list of models."""

    def decoder(self, chat: ChatRequest, cost_of: CostOf | None = None) -> ChatStreamDecoder:
        """Return what reads a stream."""

    def answer(self, body: bytes) -> Answer | Failure:
        """Read the whole body of a 200 response to a request that does not stream."""

    def failure(self, status: int, body: bytes, retry_after_s: float | None = None) -> Failure:
        """Read a response that is not a 200 one; `body` may be anything, also empty or cut."""
