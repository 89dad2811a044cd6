"""What routing reads of a request: the question itself, and what stands around it. A wire format makes one."""

from dataclasses import dataclass
from typing import Literal

OutputFormat = Literal["text", "json", "json_schema", "grammar"]
"""`json`: any JSON object; `grammar`: what a server of one's own is told to follow (vLLM, SGLang, llama.cpp)."""


@dataclass(slots=True, kw_only=True)
class Question:
    """Read once a request, and only where something asks for it. The text never leaves the decision: nothing that is
    kept or explained holds it. Nobody changes one; a frozen one takes twice as long to make."""

    text: str
    """Of the last message of the user, all its parts."""
    chars: int = 0
    """Of all messages and of the descriptions of tools."""
    wide_chars: int = 0
    """Of these, outside of ASCII: of such a character a tokenizer makes about one token, of four others one."""
    messages: int = 1
    turns: int = 1
    """Messages of the user."""
    images: int = 0
    audio: int = 0
    files: int = 0
    tools: int = 0
    """That the model may call."""
    tool_results: int = 0
    """That the conversation holds: it is in the middle of something."""
    output_format: OutputFormat = "text"
