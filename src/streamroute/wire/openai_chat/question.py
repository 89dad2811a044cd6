"""What routing reads out of a chat request's body; called only where a route or a rule goes by it."""

from collections.abc import Mapping

from streamroute.core.routing.question import OutputFormat, Question
from streamroute.wire.openai_chat.request import GRAMMARS, PART_KINDS

TOOL_CHARS = 400
"""What the schema of a tool comes to where it is not written out: its parameters are counted by this, not walked."""


def read_question(payload: Mapping[str, object]) -> Question:
    """Read a body that `decode_request` has accepted. Parts of unknown types are passed over."""
    messages = payload.get("messages")
    last: list[str] = []
    chars = wide = count = turns = results = 0
    kinds = {"images": 0, "audio": 0, "files": 0}
    for message in messages if isinstance(messages, list) else ():
        if not isinstance(message, dict):
            continue
        count += 1
        texts = _texts(message.get("content"), kinds)
        for text in texts:
            chars += len(text)
            if not text.isascii():
                wide += len(text) - len(text.encode("ascii", "ignore"))
        role = message.get("role")
        if role == "user":
            turns += 1
            last = texts
        elif role in ("tool", "function"):
            results += 1
    tools = payload.get("tools") or payload.get("functions")
    offered = len(tools) if isinstance(tools, list) else 0
    return Question(
        text="\n".join(last),
        chars=chars + offered * TOOL_CHARS,
        wide_chars=wide,
        messages=count,
        turns=turns,
        images=kinds["images"],
        audio=kinds["audio"],
        files=kinds["files"],
        tools=offered,
        tool_results=results,
        output_format=_output_format(payload),
    )


def _texts(content: object, kinds: dict[str, int]) -> list[str]:
    """Return the texts of a message, and count its other parts in `kinds`."""
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        return []
    texts = []
    for part in content:
        if not isinstance(part, dict):
            continue
        text, kind = part.get("text"), PART_KINDS.get(str(part.get("type")))
        if kind is not None:
            kinds[kind] += 1
        elif isinstance(text, str):
            texts.append(text)
    return texts


def _output_format(payload: Mapping[str, object]) -> OutputFormat:
    response_format = payload.get("response_format")
    kind = response_format.get("type") if isinstance(response_format, Mapping) else None
    if kind == "json_schema":
        return "json_schema"
    if any(payload.get(key) for key in GRAMMARS):
        return "grammar"
    return "json" if kind not in {None, "text"} else "text"
