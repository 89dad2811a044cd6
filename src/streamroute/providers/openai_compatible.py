"""A provider that speaks OpenAI Chat Completions, which is most of them: options in, HTTP requests out."""

from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

from streamroute import __version__
from streamroute.core.execution.ladder import NATIVE_RUNGS
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Rung, Upstream
from streamroute.core.usage import Usage
from streamroute.providers.options import ProviderOptions
from streamroute.providers.transport import HttpRequest
from streamroute.wire.openai_chat.continuation import ContinuationDecoder
from streamroute.wire.openai_chat.request import encode_request
from streamroute.wire.openai_chat.stream import ChatStreamDecoder
from streamroute.wire.openai_chat.transcript import Delivered

FORWARDED_HEADERS = frozenset({"openai-beta", "anthropic-beta", "traceparent", "tracestate"})
"""Client headers that providers may see, in lower case. Everything else stays here, credentials above all."""
ATTEMPT_HEADER = "x-streamroute-attempt"
"""Which call for the same request this is, from 1 on, over all sidecars on its way: ours to set, and heeded where it
comes in. Three layers that try three times each are 27 calls (Google SRE book, Addressing Cascading Failures)."""

_SHORTEST_SECRET = 8
"""Characters. Shorter values are placeholders (`none`, `local`) or no secrets, and would blank ordinary words."""
_KEY_HEADERS = {"bearer": "Authorization", "api-key": "api-key", "x-api-key": "x-api-key"}


class OpenAICompatible:
    """Addresses one provider."""

    def __init__(self, options: ProviderOptions) -> None:
        self.options = options
        self._url = self._continuation_url = options.base_url + options.chat_path
        if options.quirks.continuation_chat_path is not None:
            base = urlsplit(options.base_url)
            self._continuation_url = f"{base.scheme}://{base.netloc}{options.quirks.continuation_chat_path}"
        self._headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # compressed streams arrive in lumps
            "User-Agent": f"streamroute/{__version__}",
            **options.headers,
        }
        candidates = [options.api_key or "", *options.headers.values()]
        self._secrets = tuple(each for each in candidates if len(each) >= _SHORTEST_SECRET)
        if options.api_key is not None and options.auth != "none":
            prefix = "Bearer " if options.auth == "bearer" else ""
            self._headers[_KEY_HEADERS[options.auth]] = prefix + options.api_key

    @property
    def secrets(self) -> Collection[str]:
        """What providers must not get to repeat: the key, and the values of configured headers."""
        return self._secrets

    def request(
        self, chat: ChatRequest, upstream: Upstream, forwarded: Mapping[str, str], rung: Rung | None = None
    ) -> HttpRequest:
        """Write the HTTP request for one attempt; `forwarded` are client headers, already allow-listed. `rung` says
        that `chat` is a continuation: some providers take native ones at a path of their own."""
        accept = "text/event-stream" if chat.stream else "application/json"
        ask_usage = self.options.quirks.usage_on_stream == "ask"
        return HttpRequest(
            url=self._continuation_url if rung in NATIVE_RUNGS else self._url,
            headers={**self._headers, "Accept": accept, **forwarded},
            body=encode_request(chat, model=upstream.model, ask_usage=ask_usage),
        )

    def models_request(self) -> HttpRequest:
        """Write `GET /models`: what an upstream can be asked without anything being billed."""
        headers = {name: value for name, value in self._headers.items() if name != "Content-Type"}
        return HttpRequest(
            url=self.options.base_url + "/models", method="GET", headers={**headers, "Accept": "application/json"}
        )

    def decoder(self, chat: ChatRequest, cost_of: Callable[[Usage], str | None] | None = None) -> ChatStreamDecoder:
        """Return what reads a stream of this provider; `cost_of`: see `ChatStreamDecoder`."""
        return ChatStreamDecoder(
            choices=chat.choices,
            wants_usage=chat.wants_usage,
            finish_reason_optional=self.options.quirks.finish_reason_optional,
            cost_of=cost_of,
        )

    def continuation_decoder(
        self,
        chat: ChatRequest,
        delivered: Delivered,
        rung: Rung,
        upstream: Upstream,
        cost_of: Callable[[Usage], str | None] | None = None,
    ) -> ContinuationDecoder:
        """Return what reads a stream of this provider that carries on what was `delivered`."""
        return ContinuationDecoder(
            self.decoder(chat, cost_of),
            delivered=delivered,
            rung=rung,
            upstream=upstream.id,
            wants_usage=chat.wants_usage,
        )
