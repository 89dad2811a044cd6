"""One answer in Gemini's wire format: the same text, calls and counts as OpenAI's, as recorded exchanges have them.

There is no event for the role and none for the end; calls come whole; every event counts what came so far.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import orjson

from streamroute.simulation.answer import Answer, AnswerEvent
from streamroute.simulation.content import Choice

_REASONS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_WORDS = {
    "context_length_exceeded": "The input token count (9000) exceeds the maximum number of tokens allowed (8192).",
    "model_not_found": "models/sim-1 is not found for API version v1beta, or is not supported for generateContent.",
    "invalid_api_key": "API key not valid. Please pass a valid API key.",
}
"""What Google says where OpenAI has a code."""


class GeminiAnswer(Answer):
    """The answer to one request."""

    done: ClassVar[bytes] = b""

    def events(self) -> Iterator[AnswerEvent]:
        """Yield the whole good stream: an empty text, content, and the finish reason with the last count."""
        for index in range(len(self.choices)):
            yield AnswerEvent("role", 0, self._event(index, [{"text": ""}], said=0))
        last, said = self.steps, 0
        for step in range(last):
            for index, choice in enumerate(self.choices):
                parts = self._parts(choice, step)
                if parts:
                    said += self._tokens(choice, step)
                    yield AnswerEvent("content", step, self._event(index, parts, said=said, choice=choice, step=step))
        for index, choice in enumerate(self.choices):
            yield AnswerEvent("finish", last, self._event(index, [], said=said, finish=_REASONS[choice.finish_reason]))

    def empty_delta(self) -> bytes:
        """Return an event that says nothing."""
        return self._event(0, [{"text": ""}], said=0)

    def text(self, text: str) -> bytes:
        """Return an event with a text that is not the answer's."""
        return self._event(0, [{"text": text}], said=0)

    def no_choices(self) -> bytes:
        """Return an event in which nobody says anything."""
        return self.chunk(candidates=[])

    def whole_without_choices(self) -> bytes:
        """Return the same as a whole answer."""
        return orjson.dumps(self._common() | {"candidates": []})

    @staticmethod
    def error(status: int, fields: Mapping[str, object]) -> bytes:
        """Return the body of an error, in Google's words."""
        code = fields.get("code")
        word = _STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "UNKNOWN")
        error = {"code": status, "message": _WORDS.get(str(code), fields.get("message")), "status": word}
        if code == "insufficient_quota":
            error["details"] = [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]}]
        return orjson.dumps({"error": error})

    def chunk(self, **fields: object) -> bytes:
        """Return one event with what all have in common and the given fields."""
        return b"data: " + orjson.dumps(self._common() | fields) + b"\r\n\r\n"

    def whole(self) -> bytes:
        """Return the body of an answer that is not streamed."""
        candidates, said = [], 0
        for index, choice in enumerate(self.choices):
            parts: list[dict[str, object]] = [{"text": "".join(choice.pieces)}] if choice.pieces else []
            parts += [part for step in range(self.steps) for part in self._parts(choice, step) if choice.calls]
            said += sum(self._tokens(choice, step) for step in range(self.steps) if self._parts(choice, step))
            content = {"parts": parts, "role": "model"}
            finish = _REASONS[choice.finish_reason]
            candidates.append({"content": content, "finishReason": finish, "index": index} | self._logprobs(choice))
        return orjson.dumps(self._common() | {"candidates": candidates, "usageMetadata": self._count(said)})

    def _common(self) -> dict[str, object]:
        return {"modelVersion": self.body.model, "responseId": self.answer_id}

    def _parts(self, choice: Choice, step: int) -> list[dict[str, object]]:
        if step < len(choice.pieces):
            return [{"text": choice.pieces[step]}]
        return [
            {"functionCall": {"name": call.name, "args": orjson.loads("".join(call.fragments)), "id": call.id}}
            for call in choice.calls
            if step == len(call.fragments)
        ]

    @staticmethod
    def _tokens(choice: Choice, step: int) -> int:
        if step < len(choice.pieces):
            return 1
        return sum(len(call.fragments) for call in choice.calls if step == len(call.fragments))

    def _event(
        self,
        index: int,
        parts: list[dict[str, object]],
        *,
        said: int,
        finish: str | None = None,
        choice: Choice | None = None,
        step: int = 0,
    ) -> bytes:
        candidate: dict[str, object] = {"content": {"parts": parts or [{"text": ""}], "role": "model"}, "index": index}
        if finish is not None:
            candidate["finishReason"] = finish
        if choice is not None:
            candidate |= self._logprobs(choice, step)
        return self.chunk(candidates=[candidate], usageMetadata=self._count(said))

    def _count(self, said: int) -> dict[str, object]:
        prompt = self.body.prompt_tokens
        counted = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": said,
            "thoughtsTokenCount": self.reasoning_tokens,
            "cachedContentTokenCount": int(prompt * self.cached_share),
        }
        # Protobuf leaves out what is 0.
        told: dict[str, object] = {name: count for name, count in counted.items() if count}
        return told | {"totalTokenCount": prompt + said + self.reasoning_tokens}

    def _logprobs(self, choice: Choice, step: int | None = None) -> dict[str, object]:
        if self.body.top_logprobs is None or not choice.pieces:
            return {}
        pieces = choice.pieces if step is None else choice.pieces[step : step + 1]
        chosen = [{"token": piece, "logProbability": -0.25} for piece in pieces]
        others = [-0.25 - i for i in range(self.body.top_logprobs)]
        top = [{"candidates": [{"token": piece, "logProbability": each} for each in others]} for piece in pieces]
        return {"logprobsResult": {"chosenCandidates": chosen, "topCandidates": top}}
