"""Events and streams of Anthropic's format."""

import json
from collections.abc import Mapping, Sequence

START_USAGE: Mapping[str, object] = {
    "input_tokens": 10,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 5,
    "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
    "output_tokens": 1,
    "service_tier": "standard",
}

Event = dict[str, object]


def start(usage: object = START_USAGE) -> Event:
    """Make the first event."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": usage}  # fmt: skip
    return {"type": "message_start", "message": message}


def begin(index: int, kind: str, **more: object) -> Event:
    """Begin a block."""
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}


def delta(index: int, kind: str, **more: object) -> Event:
    """Go on with a block."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def end(index: int) -> Event:
    """End a block."""
    return {"type": "content_block_stop", "index": index}


def finish(reason: str | None = "end_turn", **usage: object) -> list[Event]:
    """Make the last two events."""
    counted = {"output_tokens": 3, **usage}
    stop = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": stop, "usage": counted}, {"type": "message_stop"}]


def text(*pieces: str, index: int = 0) -> list[Event]:
    """Make a block of text."""
    return [
        begin(index, "text", text=""),
        *(delta(index, "text_delta", text=piece) for piece in pieces),
        end(index),
    ]


def tool(index: int, *pieces: str, name: str = "look", id_: str = "toolu_1") -> list[Event]:
    """Make a block that calls a tool."""
    return [
        begin(index, "tool_use", id=id_, name=name, input={}),
        *(delta(index, "input_json_delta", partial_json=piece) for piece in pieces),
        end(index),
    ]


def error(type_: str, message: str = "No.") -> Event:
    """Make an error."""
    return {"type": "error", "error": {"type": type_, "message": message}}


def stream(events: Sequence[Mapping[str, object]]) -> bytes:
    """Write a stream as Anthropic does."""
    return "".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)} \n\n" for event in events
    ).encode()
