"""One answer in OpenAI's wire format: the events of a stream, or one JSON body.

The shape and the order of the fields are those of recorded api.openai.com exchanges. The envelope is encoded once
for each answer; a content event costs one short `orjson.dumps` and a join.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import orjson

from streamroute.simulation.chat_body import ChatBody
from streamroute.simulation.content import Choice
from streamroute.simulation.profile import Profile

DONE = b"data: [DONE]\n\n"

ErrorShape = Literal["openai", "event", "openrouter"]
"""Of an error within a stream, see `faults.stream_error`."""
EventKind = Literal["role", "content", "finish", "usage", "done"]


@dataclass(frozen=True, slots=True)
class AnswerEvent:
    """One server-sent event."""

    kind: EventKind
    step: int
    """Content steps before this event: 0 for the role and the first content. With `n` > 1 the choices share a step."""
    data: bytes
    """With the blank line at its end."""


class Answer:
    """The answer to one request. Its events can be walked once for each call of `events`."""

    def __init__(
        self,
        body: ChatBody,
        choices: Sequence[Choice],
        *,
        answer_id: str,
        created: int,
        profile: Profile,
    ) -> None:
        """`profile` says what is counted beside the words."""
        self.cached_tokens = int(body.prompt_tokens * profile.cached_share)
        self.written_tokens = int(body.prompt_tokens * profile.cache_write_share)
        self.reasoning_tokens = profile.reasoning_tokens
        self.body = body
        self.choices = tuple(choices)
        self.answer_id = answer_id
        self.created = created
        tier = body.raw.get("service_tier")
        self._envelope: dict[str, object] = {
            "id": answer_id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": body.model,
            "service_tier": tier if isinstance(tier, str) and tier != "auto" else "default",
            "system_fingerprint": "fp_simulated",
        }
        self._head = b"data: " + orjson.dumps(self._envelope)[:-1] + b',"choices":[{"index":'
        self._usage_null = b',"usage":null}\n\n' if body.wants_usage else b"}\n\n"

    @property
    def steps(self) -> int:
        """How many content steps a stream of this answer has."""
        return max(
            (max(len(one.pieces), *(1 + len(call.fragments) for call in one.calls), 0) for one in self.choices),
            default=0,
        )

    @property
    def output_tokens(self) -> int:
        """Tokens of the answer, with those of reasoning."""
        said = sum(len(one.pieces) + sum(len(call.fragments) for call in one.calls) for one in self.choices)
        return said + self.reasoning_tokens

    def usage(self) -> dict[str, object]:
        """Return the usage object: prompt characters / 4, and the tokens of the answer."""
        said = self.output_tokens
        return {
            "prompt_tokens": self.body.prompt_tokens,
            "completion_tokens": said,
            "total_tokens": self.body.prompt_tokens + said,
            "prompt_tokens_details": {
                "cached_tokens": self.cached_tokens,
                "audio_tokens": 0,
                **({"cache_write_tokens": self.written_tokens} if self.written_tokens else {}),
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }

    def events(self) -> Iterator[AnswerEvent]:
        """Yield the whole good stream: role, content, finish, usage if wanted, done."""
        for i, choice in enumerate(self.choices):
            content = b"null" if choice.calls else b'""'
            yield AnswerEvent(
                "role", 0, self._delta(i, b'{"role":"assistant","content":' + content + b',"refusal":null}')
            )
        last = self.steps
        for step in range(last):
            for i, choice in enumerate(self.choices):
                for delta, logprobs in self._content(choice, step):
                    yield AnswerEvent("content", step, self._delta(i, delta, logprobs=logprobs))
        for i, choice in enumerate(self.choices):
            yield AnswerEvent("finish", last, self._delta(i, b"{}", finish=orjson.dumps(choice.finish_reason)))
        if self.body.wants_usage:
            yield AnswerEvent("usage", last, self.chunk(choices=[], usage=self.usage()))
        yield AnswerEvent("done", last, DONE)

    def chunk(self, **fields: object) -> bytes:
        """Return one event with the envelope of this answer and the given fields."""
        return b"data: " + orjson.dumps(self._envelope | fields) + b"\n\n"

    @property
    def end(self) -> bytes:
        """The event that ends a stream."""
        return DONE

    def piece(self, text: str) -> bytes:
        """Return a content event with `text`."""
        return self.chunk(choices=[{"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}])

    def empty_delta(self) -> bytes:
        """Return an event that says nothing: proof of a connection, not of progress."""
        return self._delta(0, b'{"content":""}')

    def emptied(self) -> Self:
        """Return an answer to the same request that says nothing."""
        return type(self)(
            self.body,
            [Choice() for _ in self.choices],
            answer_id=self.answer_id,
            created=self.created,
            profile=Profile(),
        )

    def without_choices(self) -> bytes:
        """Return a body in which there is no answer at all."""
        return orjson.dumps(orjson.loads(self.whole()) | {"choices": []})

    def stream_without_choices(self) -> bytes:
        """Return a stream in which there is no answer at all."""
        return self.chunk(choices=[]) + DONE

    def error_event(self, shape: ErrorShape, *, type_: str, code: str | int | None, message: str) -> bytes:
        """Return an error as an event of a stream."""
        if shape == "openrouter":
            choice = {
                "index": 0,
                "delta": {"role": "assistant", "content": ""},
                "finish_reason": "error",
                "native_finish_reason": "error",
                "logprobs": None,
            }
            return self.chunk(provider="Simulated", error=_routed_error(code, message), choices=[choice])
        name = b"event: error\n" if shape == "event" else b""
        return name + b"data: " + self.error_body(shape, type_=type_, code=code, message=message) + b"\n\n"

    def error_body(self, shape: ErrorShape, *, type_: str, code: str | int | None, message: str) -> bytes:
        """Return an error where an answer should be."""
        if shape == "openrouter":
            return orjson.dumps({"error": _routed_error(code, message)})
        return orjson.dumps({"error": {"message": message, "type": type_, "param": None, "code": code}})

    def whole(self) -> bytes:
        """Return the body of an answer that is not streamed."""
        choices = []
        for i, choice in enumerate(self.choices):
            message: dict[str, object] = {
                "role": "assistant",
                "content": None if choice.calls else "".join(choice.pieces),
                "refusal": None,
                "annotations": [],
            }
            if choice.calls:
                message["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.name, "arguments": "".join(call.fragments)},
                    }
                    for call in choice.calls
                ]
            logprobs = None
            if self.body.top_logprobs is not None:
                logprobs = {"content": [self._logprob(piece) for piece in choice.pieces], "refusal": None}
            choices.append(
                {"index": i, "message": message, "logprobs": logprobs, "finish_reason": choice.finish_reason}
            )
        body = self._envelope | {"object": "chat.completion", "choices": choices, "usage": self.usage()}
        return orjson.dumps(body)

    def _content(self, choice: Choice, step: int) -> Iterator[tuple[bytes, bytes]]:
        if step < len(choice.pieces):
            piece = choice.pieces[step]
            logprobs = b"null"
            if self.body.top_logprobs is not None:
                logprobs = orjson.dumps({"content": [self._logprob(piece)], "refusal": None})
            yield b'{"content":' + orjson.dumps(piece) + b"}", logprobs
        for i, call in enumerate(choice.calls):
            if step == 0:
                head = {"index": i, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
                yield orjson.dumps({"tool_calls": [head]}), b"null"
            elif step <= len(call.fragments):
                part = {"index": i, "function": {"arguments": call.fragments[step - 1]}}
                yield orjson.dumps({"tool_calls": [part]}), b"null"

    def _logprob(self, token: str) -> Mapping[str, object]:
        def entry(logprob: float) -> dict[str, object]:
            return {"token": token, "logprob": logprob, "bytes": list(token.encode())}

        others = [entry(-0.25 - i) for i in range(self.body.top_logprobs or 0)]
        return entry(-0.25) | {"top_logprobs": others}

    def _delta(self, index: int, delta: bytes, *, logprobs: bytes = b"null", finish: bytes = b"null") -> bytes:
        return b"".join(
            (
                self._head,
                str(index).encode(),
                b',"delta":',
                delta,
                b',"logprobs":',
                logprobs,
                b',"finish_reason":',
                finish,
                b"}]",
                self._usage_null,
            )
        )


def _routed_error(code: str | int | None, message: str) -> dict[str, object]:
    return {"code": code or 502, "message": message, "metadata": {"provider_name": "Simulated"}}
