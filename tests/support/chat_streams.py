"""Chunks and streams of OpenAI's chat format, and a decoder to compare with: slow, and obviously right."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamroute.wire.openai_chat.stream import ChatStreamDecoder

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
DONE = "[DONE]"
NOT_CONTENT = {"role", "channel", "token_id", "name", "extra_content"}

Facts = dict[str, object]


def chunk(delta: object = None, *, finish: str | None = None, index: int = 0, **more: object) -> dict[str, object]:
    """Make a chunk with one choice."""
    choice = {"index": index, "delta": {} if delta is None else delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "small-1"}
    return {**head, "choices": [choice], **more}


def text(content: str, **more: Any) -> dict[str, object]:
    """Make a chunk with a piece of text."""
    return chunk({"content": content}, **more)


def no_choices(**more: object) -> dict[str, object]:
    """Make a chunk such as the one that has the usage."""
    return {**chunk(), "choices": [], **more}


def event(payload: object, *, is_compact: bool = True) -> bytes:
    """Write one event."""
    if payload == DONE:
        return b"data: [DONE]\n\n"
    separators = (",", ":") if is_compact else (", ", ": ")
    return b"data: " + json.dumps(payload, separators=separators, ensure_ascii=False).encode() + b"\n\n"


def stream(*payloads: object, is_compact: bool = True) -> bytes:
    """Write a stream."""
    return b"".join(event(payload, is_compact=is_compact) for payload in payloads)


def run(decoder: ChatStreamDecoder, blocks: Iterable[bytes]) -> tuple[bytes, Facts]:
    """Feed a decoder and close it; return what it forwards and what it knows."""
    out = b"".join(decoder.feed(block) for block in blocks) + decoder.close()
    error = decoder.error
    return out, {
        "content_events": decoder.content_events,
        "is_done": decoder.is_done,
        "error": error and (error.kind, error.message, error.http_status),
        "has_usage": decoder.usage is not None,
        "model": decoder.model,
        "malformed_events": decoder.malformed_events,
        "is_whole": decoder.is_whole,
        "is_empty": decoder.is_empty,
    }


def raw_events(data: bytes) -> list[bytes]:
    """Cut a stream as the specification says."""
    lines = re.sub(rb"\r\n|\r", b"\n", data.removeprefix(b"\xef\xbb\xbf"))
    return [part for part in (part.strip(b"\n") for part in re.split(rb"\n{2,}", lines)) if part]


@dataclass(slots=True)
class Reference:
    """Decodes each event in full and keeps what is fit to forward: payloads, beside the bytes as they came."""

    choices: int = 1
    wants_usage: bool = True
    forwarded: list[tuple[bytes, object]] = field(default_factory=list)
    content_events: int = 0
    malformed_events: int = 0
    is_done: bool = False
    has_error: bool = False
    has_usage: bool = False
    finished: set[int] = field(default_factory=set)

    def take(self, events: Sequence[bytes]) -> "Reference":
        for raw in events:
            if self.is_done or self.has_error:
                break
            self._take(raw)
        return self

    def _take(self, raw: bytes) -> None:
        fields = [line.partition(b":") for line in raw.split(b"\n")]
        data = b"\n".join(value.removeprefix(b" ") for name, _, value in fields if name == b"data")
        names = [value.removeprefix(b" ") for name, _, value in fields if name == b"event"]
        if not data:
            return
        if data == b"[DONE]":
            self.is_done = True
            return
        payload = loads(data)
        if not isinstance(payload, dict):
            self.malformed_events += 1
        elif payload.get("error") or names[-1:] == [b"error"]:
            self.has_error = len(self.finished) < self.choices  # nothing is missing after the last finish reason
        elif "choices" not in payload and isinstance(payload.get("usage"), dict) and payload["usage"]:
            self.has_usage = True
        elif not well_formed(payload.get("choices")):
            self.malformed_events += 1
        else:
            self._chunk(raw, payload)

    def _chunk(self, raw: bytes, payload: dict[str, Any]) -> None:
        for choice in payload["choices"]:
            reason = choice.get("finish_reason")
            self.has_error |= reason == "error"
            if isinstance(reason, str) and reason:
                self.finished.add(choice["index"] if isinstance(choice.get("index"), int) else 0)
        if any(has_content(choice) for choice in payload["choices"]):
            self.content_events += 1
        if self.has_error:
            return
        has_usage = isinstance(payload.get("usage"), dict) and bool(payload["usage"])
        self.has_usage |= has_usage
        if self.wants_usage:
            self.forwarded.append((raw if b"\n" not in raw and raw.startswith(b"data:") else b"", payload))
        elif payload["choices"] or not has_usage:
            says_nothing = has_usage or payload.get("usage") is None
            self.forwarded.append(
                (b"", {key: each for key, each in payload.items() if key != "usage" or not says_nothing})
            )


def has_content(choice: dict[str, Any]) -> bool:
    """Whether a choice carries something besides a role."""
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(
        bool(value) and isinstance(value, str | list | dict) and key not in NOT_CONTENT for key, value in delta.items()
    )


def well_formed(choices: object) -> bool:
    """Whether clients can read these choices."""
    return isinstance(choices, list) and all(
        isinstance(choice, dict) and isinstance(choice.get("delta"), dict | None) for choice in choices
    )


def loads(data: bytes) -> object:
    """Read JSON as browsers do: valid UTF-8, no NaN; half an emoji and huge numbers are fine. None: it is broken."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(name: str) -> object:
    raise ValueError(name)
