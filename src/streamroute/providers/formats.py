"""The wire formats that providers are spoken to in, as a table: adding one is adding a row."""

from collections.abc import Callable
from dataclasses import dataclass

from streamroute.core.request import WireFormatName
from streamroute.providers.anthropic_messages import AnthropicMessages
from streamroute.providers.gemini import Gemini
from streamroute.providers.openai_compatible import OpenAICompatible
from streamroute.providers.options import AuthScheme, ProviderOptions
from streamroute.providers.provider import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """What goes with a wire format where neither a preset nor the configuration says otherwise."""

    open: Callable[[ProviderOptions], Provider]
    chat_path: str
    """Appended to `base_url`."""
    auth: AuthScheme
    has_logprobs: bool = True
    """There is a place for the probabilities of tokens."""


FORMATS: dict[WireFormatName, Format] = {
    "openai_chat": Format(open=OpenAICompatible, chat_path="/chat/completions", auth="bearer"),
    "anthropic_messages": Format(open=AnthropicMessages, chat_path="/messages", auth="x-api-key", has_logprobs=False),
    "gemini": Format(open=Gemini, chat_path="/models", auth="x-goog-api-key"),
}


def open_provider(options: ProviderOptions) -> Provider:
    """Return the provider that speaks the wire format of `options`."""
    return FORMATS[options.wire_format].open(options)
