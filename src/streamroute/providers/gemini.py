"""A provider that speaks Gemini's own format: Google's Gemini API and Vertex AI."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from streamroute.clock import wall
from streamroute.core.outcome import Failure
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Rung, Upstream
from streamroute.providers.addressing import Addressing
from streamroute.providers.options import ProviderOptions
from streamroute.providers.provider import CostOf
from streamroute.providers.transport import HttpRequest
from streamroute.wire.gemini.answer import translate_answer
from streamroute.wire.gemini.errors import read_error_response
from streamroute.wire.gemini.request import encode_request, request_path, translate_request
from streamroute.wire.gemini.stream import GeminiStream
from streamroute.wire.openai_chat.answer import Answer, read_answer
from streamroute.wire.openai_chat.stream import ChatStreamDecoder
from streamroute.wire.translation import TranslatingDecoder, UntranslatableError

_SAID_BY_THE_TURN = ("continue_final_message", "add_generation_prompt")
"""Fields of a continuation that Gemini needs none of: a last turn of the model's is where it goes on."""


class Gemini:
    """A `Provider`."""

    def __init__(self, options: ProviderOptions) -> None:
        self.options = options
        self._addressing = Addressing(options)

    @property
    def secrets(self) -> Collection[str]:
        """See `Provider`."""
        return self._addressing.secrets

    def why_not(self, chat: ChatRequest, upstream: Upstream) -> str | None:
        """See `Provider`."""
        try:
            translate_request(chat.payload, upstream.model)
        except UntranslatableError as error:
            return error.message
        return None

    def request(
        self, chat: ChatRequest, upstream: Upstream, forwarded: Mapping[str, str], rung: Rung | None = None
    ) -> HttpRequest:
        """See `Provider`."""
        if rung == "continue_final_message":
            kept = {name: value for name, value in chat.payload.items() if name not in _SAID_BY_THE_TURN}
            chat = replace(chat, payload=kept)
        path = self.options.chat_path + request_path(upstream.model, stream=chat.stream)
        body = encode_request(chat, model=upstream.model)
        return self._addressing.post(self.options.base_url + path, body, forwarded, stream=chat.stream)

    def models_request(self) -> HttpRequest:
        """See `Provider`."""
        return self._addressing.get(self.options.chat_path)

    def decoder(self, chat: ChatRequest, cost_of: CostOf | None = None) -> ChatStreamDecoder:
        """See `Provider`."""
        return TranslatingDecoder(
            GeminiStream(created_s=int(wall()), model=chat.model, choices=chat.choices),
            choices=chat.choices,
            wants_usage=chat.wants_usage,
            cost_of=cost_of,
        )

    def answer(self, body: bytes) -> Answer | Failure:
        """See `Provider`."""
        answer = translate_answer(body, created_s=int(wall()), model="gemini")
        return answer if isinstance(answer, Failure) else read_answer(answer)

    def failure(self, status: int, body: bytes, retry_after_s: float | None = None) -> Failure:
        """See `Provider`."""
        return read_error_response(status, body, retry_after_s=retry_after_s)
