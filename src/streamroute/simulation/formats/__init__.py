"""Every wire format by its name. A new one is a file, a line here and a path in `server`."""

from streamroute.core.request import WireFormatName
from streamroute.simulation.format import Format
from streamroute.simulation.formats.anthropic_messages import AnthropicMessages
from streamroute.simulation.formats.openai_chat import OpenAIChat

FORMATS: dict[WireFormatName, Format] = {"openai_chat": OpenAIChat(), "anthropic_messages": AnthropicMessages()}
PATHS: dict[str, WireFormatName] = {"/chat/completions": "openai_chat", "/messages": "anthropic_messages"}
"""Where each is asked, also below `/v1`."""
