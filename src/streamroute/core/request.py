"""What a client asks for: the few facts that routing and execution need, beside the body as it was sent.

The body travels along untouched (`payload`), and only the wire format that decoded it looks inside, so a
field that nobody here has heard of still reaches the provider.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from streamroute.core.attribution import NOBODY, Attribution
from streamroute.core.requirements import NO_REQUIREMENTS, Requirements

WireFormatName = Literal["openai_chat", "anthropic_messages", "gemini"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One chat request, whatever wire format it came in."""

    wire_format: WireFormatName
    payload: Mapping[str, object]
    """The decoded body. Opaque outside `wire`."""
    model: str
    """A route, an upstream, or `provider/model`, as the client wrote it."""
    stream: bool = False
    wants_usage: bool = False
    """The client asked for the usage chunk at the end of a stream."""
    choices: int = 1
    """How many answers were asked for (`n`)."""
    uses_tools: bool = False
    images: int = 0
    """Of the messages."""
    audio: int = 0
    files: int = 0
    """Parts of the messages that are sound, and that are documents."""
    uses_json_schema: bool = False
    wants_json: bool = False
    """The answer must be JSON, or follow a grammar: half of one is worth nothing."""
    prompt_bytes: int = 0
    """Size of the body; tokens are estimated from it."""
    least_prompt_tokens: int = 0
    """So many tokens the prompt has beyond doubt; 0: it is short, or nobody knows."""
    max_output_tokens: int | None = None
    """Of each choice; None: not limited."""
    wants_logprobs: bool = False
    service_tier: str | None = None
    """As it was asked for, in the client's word."""
    attribution: Attribution = NOBODY
    """By what the body says."""
    requirements: Requirements = NO_REQUIREMENTS
    """By what the body says."""
    affinity_key: str | None = None
    """Names a conversation whose prompts share their beginning, which a provider may have cached."""

    @property
    def uses_vision(self) -> bool:
        """There are images to be seen."""
        return self.images > 0

    @property
    def prompt_tokens(self) -> int:
        """A rough count: four bytes a token, as OpenAI says of English text."""
        return self.prompt_bytes // 4

    @property
    def longest_output_tokens(self) -> int | None:
        """The most that was asked for, all choices together; None where nobody has limited it."""
        return self.max_output_tokens * self.choices if self.max_output_tokens else None
