"""One answer in Gemini's wire format: the events of a stream, or one JSON body.

The shape of the fields is that of recorded generativelanguage.googleapis.com exchanges: there is no event for the role
and none for the end, calls come whole, and every event counts what came so far.
"""

from collections.abc import Iterator

import orjson

from streamroute.simulation.answer import Answer, AnswerEvent, ErrorShape
from streamroute.simulation.content import Choice

_REASONS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""Google's words for HTTP statuses."""


class GeminiAnswer(Answer):
    """The answer to one request of `:generateContent`; see `Answer`."""

    def events(self) -> Iterator[AnswerEvent]:
        """Yield the whole good stream: an empty text, content, and the finish reason with the last count."""
        for index in range(len(self.choices)):
            yield AnswerEvent("role", 0, self._event(index, ""))
        last, said = self.steps, 0
        for step in range(last):
            for index, choice in enumerate(self.choices):
                parts = _parts(choice, step)
                if parts:
                    said += _tokens(choice, step)
                    event = self._event(index, parts, said=said, **self._logprobs(choice, step))
                    yield AnswerEvent("content", step, event)
        for index, choice in enumerate(self.choices):
            finish = _REASONS[choice.finish_reason]
            yield AnswerEvent("finish", last, self._event(index, "", said=said, finishReason=finish))

    @property
    def end(self) -> bytes:
        """See `Answer`: nothing."""
        return b""

    def piece(self, text: str) -> bytes:
        """See `Answer`."""
        return self._event(0, text)

    def empty_delta(self) -> bytes:
        """See `Answer`."""
        return self._event(0, "")

    def without_choices(self) -> bytes:
        """See `Answer`."""
        return orjson.dumps(self._common() | {"candidates": []})

    def stream_without_choices(self) -> bytes:
        """See `Answer`."""
        return b"data: " + self.without_choices() + b"\r\n\r\n"

    def error_event(self, shape: ErrorShape, *, type_: str, code: str | int | None, message: str) -> bytes:
        """See `Answer`: there is one shape."""
        return b"data: " + self.error_body(shape, type_=type_, code=code, message=message) + b"\r\n\r\n"

    def error_body(self, shape: ErrorShape, *, type_: str, code: str | int | None, message: str) -> bytes:
        """See `Answer`."""
        return orjson.dumps({"error": {"code": 500, "message": message, "status": STATUSES[500]}})

    def whole(self) -> bytes:
        """Return the body of an answer that is not streamed."""
        candidates, said = [], 0
        for index, choice in enumerate(self.choices):
            text: list[dict[str, object]] = [{"text": "".join(choice.pieces)}] if choice.pieces else []
            steps = range(self.steps)
            parts = text + [part for step in steps if not choice.pieces for part in _parts(choice, step)]
            said += sum(_tokens(choice, step) for step in steps)
            content = {"parts": parts, "role": "model"}
            finish = _REASONS[choice.finish_reason]
            candidates.append({"content": content, "finishReason": finish, "index": index} | self._logprobs(choice))
        return orjson.dumps(self._common() | {"candidates": candidates, "usageMetadata": self._count(said)})

    def _common(self) -> dict[str, object]:
        return {"modelVersion": self.body.model, "responseId": self.answer_id}

    def _event(self, index: int, parts: str | list[dict[str, object]], *, said: int = 0, **more: object) -> bytes:
        """Write an event of one candidate; `said`: tokens of the answer so far."""
        content = {"parts": [{"text": parts}] if isinstance(parts, str) else parts, "role": "model"}
        candidate = {"content": content, "index": index} | more
        event = {"candidates": [candidate], "usageMetadata": self._count(said)} | self._common()
        return b"data: " + orjson.dumps(event) + b"\r\n\r\n"

    def _count(self, said: int) -> dict[str, object]:
        prompt, thought = self.body.prompt_tokens, self.reasoning_tokens
        counted: dict[str, object] = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": said,
            "thoughtsTokenCount": thought,
            "cachedContentTokenCount": self.cached_tokens,
        }
        # Protobuf leaves out what is 0.
        return {name: count for name, count in counted.items() if count} | {"totalTokenCount": prompt + said + thought}

    def _logprobs(self, choice: Choice, step: int | None = None) -> dict[str, object]:
        if self.body.top_logprobs is None or not choice.pieces:
            return {}
        pieces = choice.pieces if step is None else choice.pieces[step : step + 1]
        chosen = [{"token": piece, "logProbability": -0.25} for piece in pieces]
        others = [-0.25 - i for i in range(self.body.top_logprobs)]
        top = [{"candidates": [{"token": piece, "logProbability": each} for each in others]} for piece in pieces]
        return {"logprobsResult": {"chosenCandidates": chosen, "topCandidates": top}}


def _parts(choice: Choice, step: int) -> list[dict[str, object]]:
    """Return what a choice says at a step: a piece of text, or a call whose last fragment has come."""
    if step < len(choice.pieces):
        return [{"text": choice.pieces[step]}]
    return [
        {"functionCall": {"name": call.name, "args": orjson.loads("".join(call.fragments)), "id": call.id}}
        for call in choice.calls
        if step == len(call.fragments)
    ]


def _tokens(choice: Choice, step: int) -> int:
    if step < len(choice.pieces):
        return 1
    return sum(len(call.fragments) for call in choice.calls if step == len(call.fragments))
