"""Gemini's stream, `:streamGenerateContent?alt=sse`, written as OpenAI's chunks, event by event.

Rules of the file:

1. A stream is over where it ends after every candidate had its finish reason; only then is `[DONE]` written. Gemini
   has no word for the end.
2. `usageMetadata` comes with most events and counts what came so far: the decoder hears it every time, clients once,
   after the last finish reason.
3. What cannot be read is counted and left out; of an event that is only half understood the rest goes on.
"""

from collections.abc import Mapping

from streamroute.wire.gemini.candidate import MalformedError, Said, read_candidate
from streamroute.wire.gemini.errors import error_fields, read_error
from streamroute.wire.gemini.head import Head, finish_reason, read_head
from streamroute.wire.gemini.usage import hub_usage
from streamroute.wire.translation import ChunkWriter, EventTranslator

_KNOWN_FIELDS = frozenset({"candidates", "usageMetadata", "promptFeedback", "responseId", "modelVersion", "createTime"})


class GeminiStream(EventTranslator):
    """A `wire.translation.Translator` that follows one stream."""

    def __init__(self, *, created_s: int, model: str, choices: int = 1) -> None:
        """`created_s`: Unix seconds; `model`: as it was asked for, where the provider does not say which it is."""
        super().__init__()
        self._created_s = created_s
        self._model = model
        self._choices = choices
        self._writer = ChunkWriter(created_s)
        self._head: Head | None = None
        self._calls: dict[int, int] = {}
        """How many each choice that has begun has had."""
        self._finished: set[int] = set()
        self._metadata: dict[str, object] = {}
        self._counted: dict[str, object] | None = None
        self._is_usage_told = False

    def close(self) -> bytes:
        """See `Translator`."""
        rest = super().close()
        return rest + self._writer.done() if self._is_whole() and self.error is None else rest

    def take(self, name: bytes, payload: Mapping[str, object], out: list[bytes]) -> None:
        """See `EventTranslator`."""
        error = error_fields(payload)
        if error is not None:
            self.error = read_error(error)
            return
        if not payload.keys() & _KNOWN_FIELDS:
            self.malformed_events += 1
            return
        candidates, feedback = payload.get("candidates"), payload.get("promptFeedback")
        is_malformed = not isinstance(candidates, list | None)
        if self._head is None:
            self._head = read_head(payload, self._created_s, self._model)
            self._writer.begin(self._head.id, self._head.model)
        for position, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
            try:
                said = read_candidate(candidate, position)
                self._say(said, self._head, out)
            except ValueError:
                is_malformed = True
                continue
            is_malformed = is_malformed or said.unread_parts > 0
            self.error = self.error or said.failure
        if not candidates and isinstance(feedback, Mapping) and feedback.get("blockReason"):
            for index in range(self._choices):
                self._say(Said(index=index, finish_reason="content_filter"), self._head, out)
        self.malformed_events += is_malformed
        self._count(payload.get("usageMetadata"), out)

    def _is_whole(self) -> bool:
        return len(self._finished) >= self._choices

    def _say(self, said: Said, head: Head, out: list[bytes]) -> None:
        """Write what a candidate says; raises ValueError where it is nested too deeply to be written, or comes after
        its end: clients have stopped listening by then."""
        index = said.index
        if index in self._finished:
            if any(said.fields(said.calls).values()):
                raise MalformedError("a candidate goes on after its finish reason")
            return
        calls = self._calls.get(index, 0)
        named = [{"index": at, **call} for at, call in enumerate(head.named_calls(said, calls), calls)]
        delta = {key: value for key, value in said.fields(named).items() if value}
        role: dict[str, object] = {} if index in self._calls else {"role": "assistant"}
        if delta.keys() == {"content"} and not role and said.logprobs is None:
            out.append(self._writer.text(said.text, index=index))
        elif delta or said.logprobs is not None:
            out.append(self._writer.delta(role | delta, index=index, logprobs=said.logprobs))
            role = {}
        elif said.finish_reason is None:
            return
        calls = self._calls[index] = calls + len(named)
        if said.finish_reason is not None:
            reason = finish_reason(said.finish_reason, calls)
            out.append(self._writer.delta(role, index=index, finish_reason=reason))
            self._finished.add(index)

    def _count(self, metadata: object, out: list[bytes]) -> None:
        if isinstance(metadata, Mapping):
            self._metadata.update(metadata)
        if not self._metadata or self.error is not None:
            return
        usage, is_last = hub_usage(self._metadata), self._is_whole()
        if usage == self._counted and is_last == self._is_usage_told:
            return
        self._counted, self._is_usage_told = usage, is_last
        out.append(self._writer.usage(usage) if is_last else self._writer.counted(usage))
