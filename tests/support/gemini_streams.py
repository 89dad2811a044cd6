"""Pieces and streams of Gemini's format."""

import json
from collections.abc import Mapping, Sequence

USAGE: Mapping[str, object] = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}


def candidate(
    *parts: Mapping[str, object], finish: str | None = None, index: int | None = None, **more: object
) -> dict[str, object]:
    """Make a candidate with some parts."""
    made: dict[str, object] = {"content": {"parts": list(parts), "role": "model"}} if parts else {}
    made |= {} if finish is None else {"finishReason": finish}
    return made | ({} if index is None else {"index": index}) | more


def piece(*candidates: object, usage: object = None, **more: object) -> dict[str, object]:
    """Make what one event of a stream, or a whole answer, says."""
    head = {"candidates": list(candidates), "modelVersion": "gemini-2.5-flash", "responseId": "REVVabaiCdq4qts"}
    return {**head, **({} if usage is None else {"usageMetadata": usage}), **more}


def text(said: str, *, finish: str | None = None, **more: object) -> dict[str, object]:
    """Make a piece with text."""
    return piece(candidate({"text": said}, finish=finish, index=0), **more)


def call(name: str, arguments: Mapping[str, object], **more: object) -> dict[str, object]:
    """Make a part that calls a function."""
    return {"functionCall": {"name": name, "args": arguments, **more}}


def stream(pieces: Sequence[object], *, newline: str = "\r\n", is_ascii: bool = False) -> bytes:
    """Write a stream as Google does, with CRLF."""
    return "".join(f"data: {json.dumps(each, ensure_ascii=is_ascii)}{newline}{newline}" for each in pieces).encode()
