"""Reading a stream of chunks: what the engine must know of it, and the bytes that are fit to forward.

Every event is checked before it is forwarded, because clients' parsers die of a malformed one. Decoding each costs
more than all the rest together, so the decoder learns the *envelope* of the stream: the bytes before and after the
text of a plain content chunk that did decode. An event with the same envelope, whose middle is plain ASCII without
quote, backslash or control character, decodes too, and differs in its text only; nothing else needs to be looked at.
All other events are decoded in full. Rules:

1. Only whole events leave; comments and `[DONE]` do not (the server writes its own), error events neither.
2. Usage is read from wherever it stands; for clients that did not ask, it is taken out, `usage: null` included.
3. A chunk makes progress when a delta carries something besides a role: text, reasoning, a tool call, a refusal.
4. The stream is whole when each choice had a finish reason (or `[DONE]` came, for providers that send none).
5. From the first piece of a tool call on chunks are held until every choice has its finish reason: half a call is of no
   use to a client, and as long as it has none, another upstream can be asked. Held chunks are progress, not content.
"""

from collections.abc import Callable, Mapping

from streamroute.core.outcome import Failure
from streamroute.core.usage import Usage
from streamroute.wire.json_text import read_json, write_json
from streamroute.wire.openai_chat.cost import with_cost_event
from streamroute.wire.openai_chat.errors import read_error_event
from streamroute.wire.openai_chat.finish import EXPLAINS_SILENCE
from streamroute.wire.openai_chat.usage import read_usage
from streamroute.wire.sse import MAX_EVENT_BYTES, EventSplitter, read_event

DONE_EVENT = b"data: [DONE]\n\n"

_PLAIN = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
_TEXT_KEYS = ("content", "reasoning_content", "reasoning")
_NOT_CONTENT = frozenset({"role", "channel", "token_id", "name", "extra_content"})
"""The last is Google's: signatures of thoughts, which nobody reads but the model."""
_TOOL_KEYS = ("tool_calls", "function_call")
MAX_HELD_TOOL_BYTES = 1 << 20
"""1 MiB of tool calls: larger ones, whole files written as arguments, flow as they come."""
_MAX_ENVELOPE_MISSES = 16
"""Streams whose envelope changes with every chunk (fresh ids, obfuscation) stop trying to learn one."""


class ChatStreamDecoder:
    """Follows one stream from its first byte to its last.

    After each `feed` and `close` the attributes say what is known so far; they only ever grow.
    """

    __slots__ = (
        "_choices", "_cost_of",
        "_ending", "_envelope_misses", "_finish_reason_optional", "_finished",
        "_held", "_held_bytes", "_held_content_events", "_hold_tool_calls",
        "_is_holding", "_is_verbatim",
        "_out_ending",
        "_out_prefix", "_prefix", "_splitter", "_suffix",
        "_wants_usage", "content_events", "error", "is_done", "is_rescuable", "malformed_events", "model", "usage",
    )  # fmt: skip

    def __init__(
        self,
        *,
        choices: int = 1,
        wants_usage: bool = True,
        finish_reason_optional: bool = False,
        hold_tool_calls: bool = True,
        cost_of: Callable[[Usage], str | None] | None = None,
    ) -> None:
        """`cost_of` says what the request has cost, US dollars, once this call's usage is known: it is told to clients
        that want usage; None: it is not told, or nobody knows."""
        self._choices = choices
        self._hold_tool_calls = hold_tool_calls
        self._is_holding = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._held_content_events = 0
        self._wants_usage = wants_usage
        self._cost_of = cost_of
        self._finish_reason_optional = finish_reason_optional
        self._splitter = EventSplitter()
        self._finished: dict[int, str] = {}
        self._prefix: bytes | None = None
        self._suffix = b""
        self._ending = b""
        self._out_prefix = self._out_ending = b""
        self._is_verbatim = True
        self._envelope_misses = 0
        self.content_events = 0
        """Chunks that made progress and are not held."""
        self.is_rescuable = True
        """No half of a tool call was let go."""
        self.is_done = False
        """`[DONE]` was seen."""
        self.error: Failure | None = None
        """The provider said, within the stream, that it failed."""
        self.usage: Usage | None = None
        self.model: str | None = None
        self.malformed_events = 0

    @property
    def progress_events(self) -> int:
        """Chunks that made progress, held ones included."""
        return self.content_events + self._held_content_events

    @property
    def is_whole(self) -> bool:
        """Every choice that was asked for has come to its end."""
        return len(self._finished) >= self._choices or (self.is_done and self._finish_reason_optional)

    @property
    def is_empty(self) -> bool:
        """Nothing was said, and nothing explains why."""
        return not self.progress_events and not EXPLAINS_SILENCE & set(self._finished.values())

    def feed(self, block: bytes) -> bytes:
        """Take a received block of any size; return the events to forward, whole ones, possibly none."""
        prefix = self._prefix
        if (
            prefix is not None
            and block.startswith(prefix)
            and block.endswith(self._ending)
            and self._splitter.is_between_events
            and not self._has_ended()
            and not self._is_holding
        ):  # one plain content chunk and nothing else: what most blocks of a stream are
            text = block[len(prefix) : -len(self._ending)]
            if text and not text.translate(None, _PLAIN):
                self.content_events += 1
                return block if self._is_verbatim else b"%b%b%b" % (self._out_prefix, text, self._out_ending)
        return self._forward(self._splitter.feed(block))

    def _forward(self, events: list[bytes]) -> bytes:
        if self._splitter.oversized_events and self.error is None:
            # It may have been text or a picture: without it the answer would only look whole.
            self.error = Failure(kind="malformed", message=f"an event of more than {MAX_EVENT_BYTES} bytes")
        return self._whole_events(events)

    def close(self) -> bytes:
        """Take note of the end of the stream; return what its last, unterminated event adds."""
        block = self._forward(self._splitter.close())
        return block + self._released() if self.is_whole else block

    def _whole_events(self, events: list[bytes]) -> bytes:
        if not events or self._has_ended():
            return b""
        kept: list[bytes] = []
        prefix, suffix = self._prefix, self._suffix
        for event in events:
            if self._is_holding:
                self._hold(event, kept)
                if self._has_ended():
                    break
                continue
            if prefix is not None and event.startswith(prefix) and event.endswith(suffix):
                text = event[len(prefix) : -len(suffix)]
                if text and not text.translate(None, _PLAIN):
                    self.content_events += 1
                    kept.append(event if self._is_verbatim else self._without_null_usage(event))
                    continue
            checked = self._check(event)
            if self._holds():  # since this event
                self.content_events -= 1
                self._held_content_events += 1
                self._keep(checked, kept)
            elif checked is not None:
                kept.append(checked)
            if self._has_ended():
                break
            prefix, suffix = self._prefix, self._suffix
        if not kept:
            return b""
        kept.append(b"")
        return b"\n\n".join(kept)

    def _hold(self, event: bytes, kept: list[bytes]) -> None:
        before = self.content_events
        checked = self._check(event)
        self._held_content_events += self.content_events - before
        self.content_events = before
        self._keep(checked, kept)

    def _keep(self, checked: bytes | None, kept: list[bytes]) -> None:
        """Put a checked event with those that are held; let all go where the answer is whole, or too large."""
        if checked is not None:
            self._held.append(checked)
            self._held_bytes += len(checked)
        is_too_large = self._held_bytes > MAX_HELD_TOOL_BYTES
        if is_too_large:
            self._hold_tool_calls = self.is_rescuable = False
        if is_too_large or self.is_whole:
            kept += self._let_go()

    def _let_go(self) -> list[bytes]:
        held, self._held = self._held, []
        self._held_bytes = 0
        self._is_holding = False
        self.content_events += self._held_content_events
        self._held_content_events = 0
        return held

    def _released(self) -> bytes:
        return b"".join(event + b"\n\n" for event in self._let_go())

    def _holds(self) -> bool:
        return self._is_holding

    def _has_ended(self) -> bool:
        return self.is_done or self.error is not None

    def _check(self, event: bytes) -> bytes | None:
        """Decode one event in full; return it, or what remains of it, if the client should have it."""
        name, data = read_event(event)
        if data is None or not data:
            return None
        if data == b"[DONE]":
            self.is_done = True
            return None
        try:
            chunk = read_json(data)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict):
            self.malformed_events += 1
            return None
        if name == b"error" or chunk.get("error"):
            # After the last finish reason nothing of the answer can be missing: OpenRouter tells the cause of a
            # `length` that way.
            self.error = None if self.is_whole else read_error_event(chunk)
            return None
        choices = chunk.get("choices")
        if choices is None and (usage := read_usage(chunk.get("usage"), chunk.get("service_tier"))) is not None:
            self.usage = usage  # worth knowing, but clients iterate over `choices`
            return None
        if not isinstance(choices, list) or not all(_is_choice(choice) for choice in choices):
            self.malformed_events += 1
            return None
        if b"\n" in event or not event.startswith(b"data:"):
            # Names, ids and whatever else stands around the data: clients need none of it, and some cannot read it.
            event = b"data: " + data.replace(b"\n", b" ")
        self._read(chunk, choices, event)
        if self.error is not None:
            return None
        return self._without_usage(chunk, choices, event)

    def _read(self, chunk: dict[str, object], choices: list[dict[str, object]], event: bytes) -> None:
        if self.model is None and isinstance(model := chunk.get("model"), str):
            self.model = model
        makes_progress = False
        for choice in choices:
            delta = choice.get("delta")
            if isinstance(delta, dict) and any(_is_content(key, value) for key, value in delta.items()):
                makes_progress = True
                if self._hold_tool_calls and any(delta.get(key) for key in _TOOL_KEYS):
                    self._is_holding = True
            reason = choice.get("finish_reason")
            if reason == "error":
                self.error = read_error_event(choice if choice.get("error") else chunk)
            elif isinstance(reason, str) and reason:
                index = choice.get("index")
                self._finished[index if isinstance(index, int) else 0] = reason
        if makes_progress:
            self.content_events += 1
            self._learn(chunk, choices, event)

    def _without_usage(self, chunk: dict[str, object], choices: list[dict[str, object]], event: bytes) -> bytes | None:
        usage = read_usage(chunk.get("usage"), chunk.get("service_tier"))
        if usage is None:
            return event if self._wants_usage else self._without_null_usage(event)
        self.usage = usage
        if self._wants_usage:
            return event if self._cost_of is None else with_cost_event(event, self._cost_of(usage))
        if not choices:
            return None
        try:
            return b"data: " + write_json({key: value for key, value in chunk.items() if key != "usage"})
        except ValueError:  # nested too deeply to be written again: usage too many beats text too little
            return event

    def _without_null_usage(self, event: bytes) -> bytes:
        """Take out the `usage: null` that OpenAI adds where usage is asked for. Within text the quotes are escaped."""
        return event.replace(b',"usage":null', b"").replace(b', "usage": null', b"")

    def _learn(self, chunk: Mapping[str, object], choices: list[dict[str, object]], event: bytes) -> None:
        """Remember the envelope of a plain content chunk."""
        if self._envelope_misses >= _MAX_ENVELOPE_MISSES or len(choices) != 1 or chunk.get("usage"):
            return
        choice, delta = choices[0], choices[0].get("delta")
        if choice.get("finish_reason") or choice.get("logprobs") or not isinstance(delta, dict):
            return
        contents = [(key, value) for key, value in delta.items() if _is_content(key, value)]
        if len(contents) != 1 or contents[0][0] not in _TEXT_KEYS or not isinstance(contents[0][1], str):
            return
        text = contents[0][1].encode(errors="surrogatepass")
        if text.translate(None, _PLAIN):
            return
        self._envelope_misses += 1
        for colon in (b'":"', b'": "'):
            needle = b'"' + contents[0][0].encode() + colon
            start = event.find(needle) + len(needle)
            end = start + len(text)
            if start >= len(needle) and event[start:end] == text and event[end : end + 1] == b'"':
                if event.find(needle, end) < 0:
                    self._prefix, self._suffix = event[:start], event[end:]
                    self._ending = self._suffix + b"\n\n"
                    self._out_prefix = self._without_null_usage(self._prefix)
                    self._out_ending = self._without_null_usage(self._ending)
                    self._is_verbatim = self._wants_usage or event == self._without_null_usage(event)
                return


def _is_choice(choice: object) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("delta", {}), dict | None)


def _is_content(key: str, value: object) -> bool:
    return bool(value) and key not in _NOT_CONTENT and isinstance(value, str | list | dict)
