"""A provider that speaks Anthropic Messages: translated on the way there, and back."""

from collections.abc import Collection, Mapping

from streamroute.clock import wall
from streamroute.core.outcome import Failure
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Rung, Upstream
from streamroute.providers.addressing import Addressing
from streamroute.providers.options import ProviderOptions
from streamroute.providers.provider import CostOf
from streamroute.providers.transport import HttpRequest
from streamroute.wire.anthropic_messages.answer import read_answer
from streamroute.wire.anthropic_messages.errors import read_error_response
from streamroute.wire.anthropic_messages.request import EncodeOptions, encode_request
from streamroute.wire.anthropic_messages.stream import MessagesTranslator
from streamroute.wire.json_text import write_json
from streamroute.wire.openai_chat.answer import Answer
from streamroute.wire.translation import TranslatingDecoder, UntranslatableError

HEADERS = {"anthropic-version": "2023-06-01"}
"""The version that takes `x-api-key` and sampling parameters. Version 2026-10-21 wants `Authorization: Bearer` and
takes no sampling parameters: `auth`, `headers` and `quirks.sampling` of a provider say so."""


class AnthropicMessages:
    """A `Provider`."""

    def __init__(self, options: ProviderOptions) -> None:
        self.options = options
        self._addressing = Addressing(options, HEADERS)
        self._url = options.base_url + options.chat_path

    @property
    def secrets(self) -> Collection[str]:
        """See `Provider`."""
        return self._addressing.secrets

    def why_not(self, chat: ChatRequest, upstream: Upstream) -> str | None:
        """See `Provider`: tried, because only the translation knows."""
        try:
            self._encoded(chat, upstream)
        except UntranslatableError as error:
            return error.message
        return None

    def request(
        self, chat: ChatRequest, upstream: Upstream, forwarded: Mapping[str, str], rung: Rung | None = None
    ) -> HttpRequest:
        """See `Provider`."""
        body = write_json(self._encoded(chat, upstream))
        return self._addressing.post(self._url, body, forwarded, stream=chat.stream)

    def models_request(self) -> HttpRequest:
        """See `Provider`."""
        return self._addressing.get("/models")

    def decoder(self, chat: ChatRequest, cost_of: CostOf | None = None) -> TranslatingDecoder:
        """See `Provider`."""
        translator = MessagesTranslator(created=int(wall()))
        return TranslatingDecoder(translator, choices=chat.choices, wants_usage=chat.wants_usage, cost_of=cost_of)

    def answer(self, body: bytes) -> Answer | Failure:
        """See `Provider`."""
        return read_answer(body, created=int(wall()))

    def failure(self, status: int, body: bytes, retry_after_s: float | None = None) -> Failure:
        """See `Provider`."""
        return read_error_response(status, body, retry_after_s=retry_after_s)

    def _encoded(self, chat: ChatRequest, upstream: Upstream) -> dict[str, object]:
        quirks, capabilities = self.options.quirks, upstream.capabilities
        options = EncodeOptions(
            default_max_tokens=quirks.default_max_tokens,
            sampling=capabilities.sampling or quirks.sampling,
            reasoning=capabilities.reasoning or quirks.reasoning,
        )
        return encode_request(chat, model=upstream.model, options=options)
