"""Every wire format by its name. A new one is a file, a line here and a path."""

from collections.abc import Mapping

from streamroute.core.request import WireFormatName
from streamroute.simulation.format import Format
from streamroute.simulation.formats.anthropic_messages import AnthropicMessages
from streamroute.simulation.formats.gemini import Gemini
from streamroute.simulation.formats.openai_chat import OpenAIChat

FORMATS: dict[WireFormatName, Format] = {
    "openai_chat": OpenAIChat(),
    "anthropic_messages": AnthropicMessages(),
    "gemini": Gemini(),
}
PATHS: dict[str, WireFormatName] = {
    "/chat/completions": "openai_chat",
    "/messages": "anthropic_messages",
    "/models/{model}:{method:generateContent|streamGenerateContent}": "gemini",
}
"""Where each is asked, also below `/v1`; patterns as aiohttp reads them."""
_BY_HEADER: dict[str, WireFormatName] = {"anthropic-version": "anthropic_messages", "x-goog-api-key": "gemini"}


def format_of(headers: Mapping[str, str]) -> Format:
    """Return the format of whoever asks for the models: the path is the same for all, clients are known by a header."""
    return FORMATS[next((name for header, name in _BY_HEADER.items() if header in headers), "openai_chat")]
