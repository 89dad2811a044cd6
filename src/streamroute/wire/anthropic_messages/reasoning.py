"""Thoughts: Anthropic's `thinking` blocks <-> the fields in which the OpenAI-compatible world carries them.

Text goes to `reasoning_content` (DeepSeek's, vLLM's and SGLang's name). A thought's signature, without which Anthropic
does not take it back in the next turn, goes to `reasoning_details`, OpenRouter's
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens): clients that return those unchanged keep their
thoughts in a tool loop. Thoughts without a signature cannot be given back, and are not.
"""

from collections.abc import Mapping

from streamroute.wire.openai_chat.notes import CLAUDE as FORMAT


def signed_detail(text: str, signature: str, index: int) -> dict[str, object]:
    """Return a thought that can be given back."""
    return {"type": "reasoning.text", "text": text, "signature": signature, "format": FORMAT, "index": index}


def encrypted_detail(data: str, index: int) -> dict[str, object]:
    """Return a thought that nobody but Anthropic can read."""
    return {"type": "reasoning.encrypted", "data": data, "format": FORMAT, "index": index}


def thinking_blocks(details: object) -> list[dict[str, object]]:
    """Return the blocks of an assistant's earlier thoughts, of those that are Anthropic's own."""
    blocks: list[dict[str, object]] = []
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, Mapping) or detail.get("format") != FORMAT:
            continue
        text, signature, data = detail.get("text"), detail.get("signature"), detail.get("data")
        if detail.get("type") == "reasoning.text" and isinstance(text, str) and isinstance(signature, str):
            blocks.append({"type": "thinking", "thinking": text, "signature": signature})
        elif detail.get("type") == "reasoning.encrypted" and isinstance(data, str):
            blocks.append({"type": "redacted_thinking", "data": data})
    return blocks
