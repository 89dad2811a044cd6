"""Other wire formats: what cannot be said in them, and streams in them, read as if they were OpenAI's.

A translator stands in front of the decoder of the hub form:

    provider's bytes -> Translator.feed -> chunks as OpenAI's -> ChatStreamDecoder -> what the client may have

The decoder holds tool calls, strips usage and tells what is known, whoever the chunks come from. Rules:

1. Only whole chunks leave a translator, and only well-formed ones; what nobody could read is counted.
2. A chunk has a finish reason where the provider said that the answer is over, and nowhere else; `[DONE]` likewise.
   So a stream that broke off looks broken off to the decoder.
3. The tier that a call was served in stands in `usage`: beside `choices` clients know OpenAI's words only.
4. What the provider counts early, such as the prompt at the beginning, goes to the decoder in a chunk without
   `choices`, which nobody else sees: an answer that is never counted to its end has at least its prompt counted.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Protocol

from streamroute.core.outcome import Failure
from streamroute.core.usage import Usage
from streamroute.errors import RequestError
from streamroute.wire.json_text import read_json, write_json
from streamroute.wire.openai_chat.stream import DONE_EVENT, ChatStreamDecoder
from streamroute.wire.sse import MAX_EVENT_BYTES, EventSplitter, read_event


class UntranslatableError(RequestError):
    """What a client asks cannot be said in a wire format. `message` says why: "it has no ..."."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, code="unsupported_by_route", param=param)


class Translator(Protocol):
    """Turns one stream into chunks; what its attributes say only ever grows."""

    @property
    def error(self) -> Failure | None:
        """The provider said, within the stream, that it failed; nothing is translated after that."""

    @property
    def malformed_events(self) -> int:
        """Events that nobody could read."""

    def feed(self, block: bytes) -> bytes:
        """Take a received block of any size; return whole chunks as server-sent events, possibly none."""

    def close(self) -> bytes:
        """Take note of the end of the stream; return what its last, unterminated event adds."""


class TranslatingDecoder(ChatStreamDecoder):
    """Reads a foreign stream in the place of a `ChatStreamDecoder`: everything it says is about the translation."""

    __slots__ = ("_translator",)

    def __init__(
        self,
        translator: Translator,
        *,
        choices: int = 1,
        wants_usage: bool = True,
        cost_of: Callable[[Usage], str | None] | None = None,
    ) -> None:
        super().__init__(choices=choices, wants_usage=wants_usage, cost_of=cost_of)
        self._translator = translator

    def feed(self, block: bytes) -> bytes:
        """See `ChatStreamDecoder`."""
        if self.is_done or self.error is not None:
            return b""
        chunks = self._translator.feed(block)
        events = super().feed(chunks) if chunks else b""
        self._note()
        return events

    def close(self) -> bytes:
        """See `ChatStreamDecoder`."""
        chunks = self._translator.close()
        events = super().feed(chunks) if chunks else b""
        self._note()
        return events + super().close()

    def _note(self) -> None:
        translator = self._translator
        self.malformed_events = translator.malformed_events
        if translator.error is not None and self.error is None and not self.is_whole:
            self.error = translator.error  # once the answer is whole, nothing of it can be missing


class EventTranslator(ABC):
    """What translators of server-sent events share: from blocks to decoded events, in order."""

    def __init__(self) -> None:
        self._splitter = EventSplitter()
        self.error: Failure | None = None
        self.malformed_events = 0

    def feed(self, block: bytes) -> bytes:
        """See `Translator`."""
        return self._translate(self._splitter.feed(block))

    def close(self) -> bytes:
        """See `Translator`."""
        return self._translate(self._splitter.close())

    @abstractmethod
    def take(self, name: bytes, payload: Mapping[str, object], out: list[bytes]) -> None:
        """Translate one event: put chunks into `out`, or set `error`. `name` is empty where the event has none."""

    def _translate(self, events: list[bytes]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self.error is not None:
                break
            name, data = read_event(event)
            if not data:
                continue
            try:
                payload = read_json(data)
            except ValueError:
                payload = None
            if isinstance(payload, dict):
                self.take(name, payload, out)
            else:
                self.malformed_events += 1
        if self._splitter.oversized_events and self.error is None:
            self.error = Failure(kind="malformed", message=f"an event of more than {MAX_EVENT_BYTES} bytes")
        return b"".join(out)


class ChunkWriter:
    """Writes the chunks of one answer; `begin` comes first."""

    __slots__ = ("_envelope", "_head")

    def __init__(self, created: int) -> None:
        """`created`: when the answer began, seconds since the epoch."""
        self._envelope: dict[str, object] = {"id": "", "object": "chat.completion.chunk", "created": created}
        self._head = b""
        self.begin("", "")

    def begin(self, id_: str, model: str) -> None:
        """Name the answer, and the model that gives it."""
        self._envelope |= {"id": id_, "model": model}
        self._head = b"data: " + write_json(self._envelope)[:-1] + b',"choices":[{"index":'

    def delta(
        self,
        delta: Mapping[str, object],
        *,
        index: int = 0,
        finish_reason: str | None = None,
        logprobs: Mapping[str, object] | None = None,
    ) -> bytes:
        """Return a chunk with a delta of choice `index`, and how probable its tokens were."""
        said = write_json(delta)
        if logprobs is not None:
            said += b',"logprobs":' + write_json(logprobs)
        return self._chunk(index, said, b"null" if finish_reason is None else write_json(finish_reason))

    def text(self, text: str, *, key: bytes = b"content", index: int = 0) -> bytes:
        """Return a chunk with text alone, what most chunks are; `key`: as whose."""
        return self._chunk(index, b'{"%b":%b}' % (key, write_json(text)), b"null")

    def usage(self, usage: Mapping[str, object]) -> bytes:
        """Return the chunk without choices that ends a stream with its usage."""
        return b"data: " + write_json({**self._envelope, "choices": [], "usage": usage}) + b"\n\n"

    def done(self) -> bytes:
        """Return what says that the stream is over."""
        return DONE_EVENT

    @staticmethod
    def counted(usage: Mapping[str, object]) -> bytes:
        """Return what tells the decoder, and nobody else, what is counted so far."""
        return b"data: " + write_json({"usage": usage}) + b"\n\n"

    def _chunk(self, index: int, delta: bytes, finish_reason: bytes) -> bytes:
        return b'%b%d,"delta":%b,"finish_reason":%b}]}\n\n' % (self._head, index, delta, finish_reason)
