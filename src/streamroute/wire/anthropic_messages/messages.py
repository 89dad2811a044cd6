"""The conversation: the hub's messages -> `system` and turns made of blocks.

- System and developer messages are gathered in `system`, in order, wherever they stood: as Anthropic's own
  OpenAI-compatible endpoint does.
- Neighbours of one role become one turn; a tool's result is the user's turn.
- `cache_control` on a part, or on a message, stays on its block. Blocks that are Anthropic's own (`image` and
  `document` with a `source`) pass as they are. Empty text, which Anthropic refuses, is left out.
- A last turn of the assistant is a prefill, which Anthropic refuses where it ends in white space.
- Names of participants and the wish for an image's detail have no place, and are left out.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

from streamroute.wire.anthropic_messages.reasoning import thinking_blocks
from streamroute.wire.json_text import read_json
from streamroute.wire.translation import UntranslatableError

Block = dict[str, object]

_DATA_URL = re.compile(r"data:([\w.+/-]+);base64,(.*)", re.DOTALL)
_ID = re.compile(r"[a-zA-Z0-9_-]+")


def conversation(messages: Sequence[Mapping[str, object]]) -> tuple[list[Block], list[dict[str, object]]]:
    """Return the blocks of `system`, and the turns; raises UntranslatableError with the place of what has none."""
    system: list[Block] = []
    turns: list[dict[str, object]] = []
    for at, message in enumerate(messages):
        role, where = message.get("role"), f"messages[{at}]"
        match role:
            case "system" | "developer":
                system += _parts(message, where)
            case "user":
                _add(turns, "user", _parts(message, where))
            case "assistant":
                _add(turns, "assistant", _assistant(message, where))
            case "tool":
                _add(turns, "user", [_result(message, where)])
            case _:
                raise UntranslatableError(f"it does not take the role {role!r} ({where})")
    if not turns:
        raise UntranslatableError("it needs a message with content that is not the system's")
    last = turns[-1]["content"]
    said = last[-1].get("text") if turns[-1]["role"] == "assistant" and isinstance(last, list) else None
    if isinstance(said, str) and said != said.rstrip():
        raise UntranslatableError("it does not go on from white space (the end of the last message)")
    return system, turns


def opens_with_a_thought(turns: Sequence[Mapping[str, object]]) -> bool:
    """Tell whether thinking can go on: a turn of the assistant that waits for results must begin with its thought."""
    last = next((turn["content"] for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if not isinstance(last, list) or all(block["type"] != "tool_use" for block in last):
        return True
    return last[0]["type"] in {"thinking", "redacted_thinking"}


def _add(turns: list[dict[str, object]], role: str, blocks: list[Block]) -> None:
    if not blocks:
        return
    last = turns[-1]["content"] if turns and turns[-1]["role"] == role else None
    if isinstance(last, list):
        last += blocks
    else:
        turns.append({"role": role, "content": blocks})


def _assistant(message: Mapping[str, object], where: str) -> list[Block]:
    for name in ("function_call", "audio"):
        if message.get(name):
            raise UntranslatableError(f"it cannot take `{name}` ({where})")
    blocks = thinking_blocks(message.get("reasoning_details"))
    blocks += _parts(message, where)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        blocks.append({"type": "text", "text": refusal})
    calls = message.get("tool_calls")
    for at, call in enumerate(calls if isinstance(calls, list) else ()):
        blocks.append(_call(call, f"{where}.tool_calls[{at}]"))
    return blocks


def _call(call: object, where: str) -> Block:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise UntranslatableError(f"it only knows calls of functions ({where})")
    arguments = function.get("arguments")
    try:
        decoded = read_json(arguments.encode(errors="replace")) if isinstance(arguments, str) and arguments else {}
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict):
        raise UntranslatableError(f"it needs arguments that are a JSON object ({where}.function.arguments)")
    return _cached({"type": "tool_use", "id": _tool_id(call.get("id")), "name": function.get("name")}, call) | {
        "input": decoded
    }


def _result(message: Mapping[str, object], where: str) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": _tool_id(message.get("tool_call_id"))}
    parts = _parts({"content": message.get("content")}, where)
    if parts:
        block["content"] = parts
    return _cached(block, message)


def _parts(message: Mapping[str, object], where: str) -> list[Block]:
    content = message.get("content")
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [_cached({"type": "text", "text": content}, message)]
    if not isinstance(content, list):
        raise UntranslatableError(f"it needs content that is a text or a list of parts ({where}.content)")
    blocks = [_part(part, f"{where}.content[{at}]") for at, part in enumerate(content)]
    return [block for block in blocks if block.get("type") != "text" or block.get("text")]


def _part(part: object, where: str) -> Block:
    if not isinstance(part, Mapping):
        raise UntranslatableError(f"it needs parts that are objects ({where})")
    kind = part.get("type")
    if kind in {"text", "refusal"}:
        text = part.get("text", part.get("refusal"))
        if not isinstance(text, str):
            raise UntranslatableError(f"it needs text in a part of text ({where})")
        return _cached({"type": "text", "text": text}, part)
    if kind in {"image", "document"} and isinstance(part.get("source"), Mapping):
        return dict(part)
    if kind == "image_url":
        image = part.get("image_url")
        return _cached({"type": "image", "source": _image(image.get("url") if isinstance(image, Mapping) else image)},
                       part)  # fmt: skip
    file = part.get("file")
    data = file.get("file_data") if kind == "file" and isinstance(file, Mapping) else None
    found = _DATA_URL.fullmatch(data) if isinstance(data, str) else None
    if found is not None and found[1] == "application/pdf":
        return _cached({"type": "document", "source": _base64(found)}, part)
    raise UntranslatableError(f"it cannot take a part of the type {kind!r} ({where})")


def _image(url: object) -> Block:
    if isinstance(url, str):
        found = _DATA_URL.fullmatch(url)
        if found is not None:
            return _base64(found)
        if url.startswith(("https://", "http://")):
            return {"type": "url", "url": url}
    raise UntranslatableError("it takes images by an http(s) address or as base64 `data:` only")


def _base64(found: re.Match[str]) -> Block:
    return {"type": "base64", "media_type": found[1], "data": found[2]}


def _cached(block: Block, part: Mapping[str, object]) -> Block:
    mark = part.get("cache_control")
    return block if mark is None else {**block, "cache_control": mark}


def _tool_id(given: object) -> str:
    """Return the id of a call as Anthropic takes it, which allows fewer characters than others use: the same for the
    same id, another for another."""
    text = given if isinstance(given, str) else ""
    if _ID.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]
    return f"{re.sub(r'[^a-zA-Z0-9_-]', '_', text)[:40]}_{digest}"
