"""Gemini's whole answer, `:generateContent`, written as OpenAI's."""

from collections.abc import Mapping

from streamroute.core.outcome import Failure
from streamroute.wire.gemini.candidate import MalformedError, Said, read_candidate
from streamroute.wire.gemini.errors import error_fields, read_error
from streamroute.wire.gemini.head import Head, finish_reason, read_head
from streamroute.wire.gemini.usage import hub_usage
from streamroute.wire.json_text import read_json, write_json


def translate_answer(body: bytes, *, created_s: int, model: str, choices: int = 1) -> bytes | Failure:
    """Return OpenAI's answer; a Failure where it is an error in disguise, malformed, or a candidate failed.

    Whether it says anything is for the reader of OpenAI's answers to tell. Parameters: see `GeminiStream`.
    """
    try:
        payload = read_json(body)
        error = error_fields(payload)
        if error is not None:
            return read_error(error)
        if not isinstance(payload, Mapping):
            return Failure(kind="malformed", message="the answer is not a JSON object", http_status=200)
        said = _candidates(payload, choices)
        for each in said:
            if each.failure is not None:
                return each.failure
            if each.finish_reason is None:
                return Failure(kind="truncated", message="the answer has no finish reason", http_status=200)
        head = read_head(payload, created_s, model)
        answer: dict[str, object] = {
            "id": head.id,
            "object": "chat.completion",
            "created": created_s,
            "model": head.model,
            "choices": [_choice(each, head) for each in said],
        }
        metadata = payload.get("usageMetadata")
        if isinstance(metadata, Mapping) and metadata:
            answer["usage"] = hub_usage(metadata)
        return write_json(answer)
    except ValueError as error:
        return Failure(kind="malformed", message=f"the answer cannot be read: {error}", http_status=200)


def _candidates(payload: Mapping[str, object], choices: int) -> list[Said]:
    candidates, feedback = payload.get("candidates"), payload.get("promptFeedback")
    if not candidates and isinstance(feedback, Mapping) and feedback.get("blockReason"):
        return [Said(index=index, finish_reason="content_filter") for index in range(choices)]
    if not isinstance(candidates, list | None):
        raise MalformedError("its `candidates` are no array")
    return [read_candidate(candidate, position) for position, candidate in enumerate(candidates or ())]


def _choice(said: Said, head: Head) -> dict[str, object]:
    fields = said.fields(head.named_calls(said, 0))
    message = {"role": "assistant", "content": None, **{key: value for key, value in fields.items() if value}}
    reason = finish_reason(said.finish_reason or "", len(said.calls))
    return {"index": said.index, "message": message, "logprobs": said.logprobs, "finish_reason": reason}
