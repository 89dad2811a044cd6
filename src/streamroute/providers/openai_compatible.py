"""A provider that speaks OpenAI Chat Completions, as most do: what it is sent and answers is the hub form."""

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from streamroute.core.execution.ladder import NATIVE_RUNGS
from streamroute.core.outcome import Failure
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Rung, Upstream
from streamroute.providers.addressing import Addressing
from streamroute.providers.options import ProviderOptions
from streamroute.providers.provider import CostOf
from streamroute.providers.transport import HttpRequest
from streamroute.wire.openai_chat.answer import Answer, read_answer
from streamroute.wire.openai_chat.errors import read_error_response
from streamroute.wire.openai_chat.request import encode_request
from streamroute.wire.openai_chat.stream import ChatStreamDecoder


class OpenAICompatible:
    """A `Provider`."""

    def __init__(self, options: ProviderOptions) -> None:
        self.options = options
        self._addressing = Addressing(options)
        self._url = self._continuation_url = options.base_url + options.chat_path
        if options.quirks.continuation_chat_path is not None:
            base = urlsplit(options.base_url)
            self._continuation_url = f"{base.scheme}://{base.netloc}{options.quirks.continuation_chat_path}"

    @property
    def secrets(self) -> Collection[str]:
        """See `Provider`."""
        return self._addressing.secrets

    def why_not(self, chat: ChatRequest, upstream: Upstream) -> str | None:
        """Nothing: the body travels whole, and is the provider's to judge."""
        return None

    def request(
        self, chat: ChatRequest, upstream: Upstream, forwarded: Mapping[str, str], rung: Rung | None = None
    ) -> HttpRequest:
        """See `Provider`; some take native continuations at a path of their own."""
        quirks = self.options.quirks
        return self._addressing.post(
            self._continuation_url if rung in NATIVE_RUNGS else self._url,
            encode_request(
                chat,
                model=upstream.model,
                ask_usage=quirks.usage_on_stream == "ask",
                takes_google_notes=quirks.takes_google_notes,
                takes_reasoning_details=quirks.takes_reasoning_details,
            ),
            forwarded,
            stream=chat.stream,
        )

    def models_request(self) -> HttpRequest:
        """See `Provider`."""
        return self._addressing.get("/models")

    def decoder(self, chat: ChatRequest, cost_of: CostOf | None = None) -> ChatStreamDecoder:
        """See `Provider`."""
        return ChatStreamDecoder(
            choices=chat.choices,
            wants_usage=chat.wants_usage,
            finish_reason_optional=self.options.quirks.finish_reason_optional,
            cost_of=cost_of,
        )

    def answer(self, body: bytes) -> Answer | Failure:
        """See `Provider`."""
        return read_answer(body)

    def failure(self, status: int, body: bytes, retry_after_s: float | None = None) -> Failure:
        """See `Provider`."""
        return read_error_response(status, body, retry_after_s=retry_after_s)
