"""One answer in Anthropic's wire format: the events of a stream, or one JSON body.

The shape and the order of the fields are those of recorded api.anthropic.com exchanges: the prompt is counted at the
beginning, without what was cached, and the answer at the end.
"""

from collections.abc import Iterator, Mapping

import orjson

from streamroute.simulation.answer import Answer, AnswerEvent, ErrorShape
from streamroute.simulation.content import Choice, ToolCall

_STOP_REASONS = {"stop": "end_turn", "tool_calls": "tool_use"}
ERROR_TYPES: dict[str, str] = {"server_error": "api_error", "rate_limit_exceeded": "rate_limit_error",
                               "requests": "rate_limit_error", "tokens": "rate_limit_error",
                               "insufficient_quota": "billing_error"}  # fmt: skip
"""Anthropic's words for the types that OpenAI's errors have; the rest are the same."""


class MessagesAnswer(Answer):
    """The answer to one request of `POST /v1/messages`; see `Answer`."""

    @property
    def steps(self) -> int:
        """See `Answer`: calls follow one another, each block after the one before."""
        choice = self._choice
        return len(choice.pieces) + sum(1 + len(call.fragments) for call in choice.calls)

    def events(self) -> Iterator[AnswerEvent]:
        """Yield the whole good stream."""
        message = self._message([], None, self._prompt_usage() | {"output_tokens": 1})
        start = _event("message_start", message=message) + _event("ping")
        yield AnswerEvent("role", 0, start)
        step = block = 0
        if self._choice.pieces:
            opening = _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
            for piece in self._choice.pieces:
                yield AnswerEvent("content", step, opening + self.piece(piece))
                opening = b""
                step += 1
            yield AnswerEvent("role", step, _event("content_block_stop", index=0))
            block = 1
        for call in self._choice.calls:
            for data in _call_events(call, block):
                yield AnswerEvent("content", step, data)
                step += 1
            yield AnswerEvent("role", step, _event("content_block_stop", index=block))
            block += 1
        delta = {"stop_reason": self._stop_reason, "stop_sequence": None}
        yield AnswerEvent("finish", step, _event("message_delta", delta=delta, usage=self._end_usage()))
        yield AnswerEvent("done", step, self.end)

    @property
    def end(self) -> bytes:
        """See `Answer`."""
        return _event("message_stop")

    def piece(self, text: str) -> bytes:
        """See `Answer`."""
        return _event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})

    def empty_delta(self) -> bytes:
        """See `Answer`: what Anthropic sends while there is nothing to say."""
        return _event("ping")

    def without_choices(self) -> bytes:
        """See `Answer`."""
        return orjson.dumps(self._message([], "end_turn", self._prompt_usage() | {"output_tokens": 0}))

    def stream_without_choices(self) -> bytes:
        """See `Answer`."""
        message = self._message([], None, self._prompt_usage() | {"output_tokens": 1})
        return _event("message_start", message=message) + self.end

    def error_event(self, shape: ErrorShape, *, type_: str, code: str | int | None, message: str) -> bytes:
        """See `Answer`: there is one shape."""
        return b"event: error\ndata: " + self.error_body(shape, type_=type_, code=code, message=message) + b"\n\n"

    def error_body(self, shape: ErrorShape, *, type_: str, code: str | int | None, message: str) -> bytes:
        """See `Answer`."""
        return orjson.dumps({"type": "error", "error": {"type": ERROR_TYPES.get(type_, type_), "message": message}})

    def whole(self) -> bytes:
        """Return the body of an answer that is not streamed."""
        text = "".join(self._choice.pieces)
        content: list[dict[str, object]] = [{"type": "text", "text": text}] if text else []
        content += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": orjson.loads("".join(call.fragments))}
            for call in self._choice.calls
        ]
        return orjson.dumps(self._message(content, self._stop_reason, self._prompt_usage() | self._end_usage()))

    @property
    def _choice(self) -> Choice:
        return self.choices[0]

    @property
    def _stop_reason(self) -> str:
        return _STOP_REASONS.get(self._choice.finish_reason, self._choice.finish_reason)

    def _prompt_usage(self) -> dict[str, object]:
        cached, written = self.cached_tokens, self.written_tokens
        kept = written // 2
        return {
            "input_tokens": self.body.prompt_tokens - cached - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": cached,
            "cache_creation": {"ephemeral_5m_input_tokens": written - kept, "ephemeral_1h_input_tokens": kept},
            "service_tier": "standard",
        }

    def _end_usage(self) -> dict[str, object]:
        details = {"thinking_tokens": self.reasoning_tokens}
        return {"output_tokens": self.output_tokens, "output_tokens_details": details}

    def _message(
        self, content: list[dict[str, object]], stop_reason: str | None, usage: Mapping[str, object]
    ) -> dict[str, object]:
        return {
            "id": self.answer_id,
            "type": "message",
            "role": "assistant",
            "model": self.body.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": None,
            "usage": usage,
        }


def _call_events(call: ToolCall, block: int) -> Iterator[bytes]:
    head = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
    yield _event("content_block_start", index=block, content_block=head)
    for fragment in call.fragments:
        yield _event("content_block_delta", index=block, delta={"type": "input_json_delta", "partial_json": fragment})


def _event(type_: str, **fields: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (type_.encode(), orjson.dumps({"type": type_} | fields))
