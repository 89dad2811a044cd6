"""Events of a stream -> chunks.

    message_start, (content_block_start, content_block_delta*, content_block_stop)*, message_delta, message_stop

Source: https://platform.claude.com/docs/en/build-with-claude/streaming. `ping` and events that nobody here knows are
passed over, as it asks of clients. Blocks are known by their index: what belongs to a block of another kind than
text, thoughts and calls of the client's own tools has no place in the hub form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamroute.wire.anthropic_messages.errors import read_error_event
from streamroute.wire.anthropic_messages.reasoning import encrypted_detail, signed_detail
from streamroute.wire.anthropic_messages.stop import finish_reason
from streamroute.wire.anthropic_messages.usage import hub_usage
from streamroute.wire.json_text import write_json
from streamroute.wire.translation import ChunkWriter, EventTranslator

Fields = Mapping[str, object]


@dataclass(slots=True)
class _Block:
    """A content block that has begun."""

    kind: object
    call: int = 0
    """Which of the tool calls it is."""
    input: object = None
    """Of a tool call, as it was at the beginning: whole there only where none of it follows."""
    has_input: bool = False
    """Some of it has followed."""
    thoughts: list[str] = field(default_factory=list)
    signature: str = ""


class MessagesTranslator(EventTranslator):
    """Follows one stream; a `Translator`."""

    def __init__(self, *, created: int) -> None:
        """`created`: now, in seconds since the epoch."""
        super().__init__()
        self._chunks = ChunkWriter(created)
        self._blocks: dict[object, _Block] = {}
        self._calls = 0
        self._details = 0
        self._pieces = 0
        self._usage: dict[str, object] = {}
        self._has_finished = False

    def take(self, name: bytes, payload: Fields, out: list[bytes]) -> None:
        """See `EventTranslator`."""
        match payload.get("type") or name.decode(errors="replace"):
            case "content_block_delta":
                self._continue(payload, out)
            case "content_block_start":
                self._begin(payload, out)
            case "content_block_stop":
                self._end(payload, out)
            case "message_start":
                self._start(_fields(payload, "message"), out)
            case "message_delta":
                self._finish(payload, out)
            case "message_stop":
                out.append(self._chunks.done())
            case "error":
                self.error = read_error_event(payload)
            case _ if payload.get("error"):  # something in front of the provider, in words of its own
                self.error = read_error_event(payload)

    def _start(self, message: Fields, out: list[bytes]) -> None:
        self._chunks.begin(_text(message, "id"), _text(message, "model"))
        out.append(self._chunks.delta({"role": "assistant", "content": ""}))
        usage = message.get("usage")
        if isinstance(usage, Mapping):
            self._usage.update(usage)
            early = {**usage, "output_tokens": 0}  # says how many there are before the first, not how many came
            out.append(self._chunks.counted(hub_usage(early)))

    def _begin(self, payload: Fields, out: list[bytes]) -> None:
        content = _fields(payload, "content_block")
        block = self._blocks[payload.get("index")] = _Block(content.get("type"))
        match block.kind:
            case "text" if text := _text(content, "text"):
                self._say(text, out)
            case "thinking":
                self._think(block, _text(content, "thinking"), out)
                block.signature = _text(content, "signature")
            case "redacted_thinking":
                self._detail(encrypted_detail(_text(content, "data"), self._details), out)
            case "tool_use":
                block.call, block.input = self._calls, content.get("input")
                self._calls += 1
                function = {"name": _text(content, "name"), "arguments": ""}
                call = {"index": block.call, "id": _text(content, "id"), "type": "function", "function": function}
                out.append(self._chunks.delta({"tool_calls": [call]}))

    def _continue(self, payload: Fields, out: list[bytes]) -> None:
        delta, block = _fields(payload, "delta"), self._blocks.get(payload.get("index"))
        match delta.get("type"):
            case "text_delta" if text := _text(delta, "text"):
                self._say(text, out)
            case "thinking_delta" if block is not None:
                self._think(block, _text(delta, "thinking"), out)
            case "signature_delta" if block is not None:
                block.signature += _text(delta, "signature")
            case "input_json_delta" if block is None:
                self.malformed_events += 1  # of a call whose beginning nobody could read
            case "input_json_delta":
                part = _text(delta, "partial_json")
                if part and block is not None and block.kind == "tool_use":
                    block.has_input = True
                    self._arguments(block, part, out)

    def _end(self, payload: Fields, out: list[bytes]) -> None:
        block = self._blocks.pop(payload.get("index"), None)
        if block is None:
            return
        if block.kind == "tool_use" and not block.has_input:
            self._arguments(block, write_json(block.input or {}).decode(), out)
        elif block.kind == "thinking" and block.signature:
            self._detail(signed_detail("".join(block.thoughts), block.signature, self._details), out)

    def _finish(self, payload: Fields, out: list[bytes]) -> None:
        reason = _text(_fields(payload, "delta"), "stop_reason")
        usage = payload.get("usage")
        if isinstance(usage, Mapping):  # cumulative, and without what has not changed since the beginning
            self._usage |= {key: value for key, value in usage.items() if value is not None}
        if not reason or self._has_finished:
            return
        self._has_finished = True
        out.append(self._chunks.delta({}, finish_reason=finish_reason(reason)))
        if isinstance(usage, Mapping):
            out.append(self._chunks.usage(hub_usage(self._usage)))
        elif self._usage:  # only the prompt was counted: one token a piece is what is known of the rest
            counted = hub_usage({**self._usage, "output_tokens": self._pieces})
            out.append(self._chunks.counted(counted))

    def _say(self, text: str, out: list[bytes], key: bytes = b"content") -> None:
        self._pieces += 1
        out.append(self._chunks.text(text, key=key))

    def _think(self, block: _Block, text: str, out: list[bytes]) -> None:
        if text:
            block.thoughts.append(text)
            self._say(text, out, b"reasoning_content")

    def _detail(self, detail: dict[str, object], out: list[bytes]) -> None:
        self._details += 1
        out.append(self._chunks.delta({"reasoning_details": [detail]}))

    def _arguments(self, block: _Block, part: str, out: list[bytes]) -> None:
        self._pieces += 1
        out.append(self._chunks.delta({"tool_calls": [{"index": block.call, "function": {"arguments": part}}]}))


def _fields(payload: Fields, name: str) -> Fields:
    value = payload.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(payload: Fields, name: str) -> str:
    value = payload.get(name)
    return value if isinstance(value, str) else ""
