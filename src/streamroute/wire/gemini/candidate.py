"""One candidate of an answer, or of a piece of one, in OpenAI's terms."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamroute.core.outcome import Failure
from streamroute.wire.json_text import write_json
from streamroute.wire.openai_chat.errors import read_error_event

_FINISH: dict[str, str] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
}
"""Every other reason (`OTHER`, `LANGUAGE`, `MALFORMED_FUNCTION_CALL`, `UNEXPECTED_TOOL_CALL`, `TOO_MANY_TOOL_CALLS`,
`MISSING_THOUGHT_SIGNATURE`, `MALFORMED_RESPONSE`, `NO_IMAGE`, what is added tomorrow) says that the answer failed.
Source: https://ai.google.dev/api/generate-content#FinishReason."""
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_BESIDE_PARTS = frozenset({"thought", "thoughtSignature", "partMetadata", "videoMetadata", "mediaResolution"})


class MalformedError(ValueError):
    """What a provider sent does not have the shape that it should have."""


@dataclass(slots=True, kw_only=True)
class Said:
    """What a candidate says. All empty: nothing."""

    index: int = 0
    text: str = ""
    thoughts: str = ""
    calls: list[dict[str, object]] = field(default_factory=list)
    """OpenAI's tool calls; without `id` where Gemini gave none."""
    images: list[dict[str, object]] = field(default_factory=list)
    """As OpenRouter writes them: `{"type": "image_url", "image_url": {"url": "data:..."}}`."""
    signature: str | None = None
    """Of text: an opaque note of what was thought, for the next turn."""
    logprobs: dict[str, object] | None = None
    finish_reason: str | None = None
    """OpenAI's word, before tool calls are looked at; None: it goes on."""
    failure: Failure | None = None
    """Its finish reason says that it failed."""
    unread_parts: int = 0
    """Parts that OpenAI's format has no room for, or that nobody can read."""

    def fields(self, named_calls: list[dict[str, object]]) -> dict[str, object]:
        """Return the fields of OpenAI's message or delta; what it has none of is empty."""
        return {
            "reasoning_content": self.thoughts,
            "content": self.text,
            "images": self.images,
            "tool_calls": named_calls,
            "extra_content": None if self.signature is None else signed(self.signature),
        }


def read_candidate(candidate: object, position: int) -> Said:
    """Read a candidate; `position`: which one it is where it does not say. Raises ValueError for nonsense."""
    if not isinstance(candidate, Mapping):
        raise MalformedError("a candidate is no object")
    index = candidate.get("index")
    said = Said(index=index if isinstance(index, int) and index >= 0 else position)
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, Mapping) else None
    if not isinstance(content, Mapping | None) or not isinstance(parts, list | None):
        raise MalformedError("a candidate's content is malformed")
    for part in parts or ():
        _read_part(part, said)
    said.logprobs = _read_logprobs(candidate.get("logprobsResult"))
    reason = candidate.get("finishReason")
    if isinstance(reason, str) and reason and reason != _UNSPECIFIED:
        said.finish_reason = _FINISH.get(reason)
        if said.finish_reason is None:
            said.failure = read_error_event({"error": {"message": _message(candidate, reason), "code": reason}})
    return said


def signed(signature: str) -> dict[str, object]:
    """Write a thought signature as Google does in OpenAI's format."""
    return {"google": {"thought_signature": signature}}


def _message(candidate: Mapping[str, object], reason: str) -> str:
    told = candidate.get("finishMessage")
    return told if isinstance(told, str) and told else f"the answer ended with the finish reason {reason}"


def _read_part(part: object, said: Said) -> None:
    if not isinstance(part, Mapping):
        said.unread_parts += 1
        return
    signature = part.get("thoughtSignature")
    signature = signature if isinstance(signature, str) and signature else None
    text, call, data = part.get("text"), part.get("functionCall"), part.get("inlineData")
    if isinstance(call, Mapping) and isinstance(name := call.get("name"), str) and name:
        said.calls.append(_read_call(call, name, signature))
        return
    if isinstance(text, str):
        if part.get("thought") is True:
            said.thoughts += text
        else:
            said.text += text
    elif isinstance(data, Mapping) and part.get("thought") is not True:
        url = f"data:{data.get('mimeType')};base64,{data.get('data')}"
        said.images.append({"type": "image_url", "image_url": {"url": url}})
    elif not part.keys() <= _BESIDE_PARTS:
        said.unread_parts += 1
    said.signature = signature or said.signature


def _read_call(call: Mapping[str, object], name: str, signature: str | None) -> dict[str, object]:
    arguments = call.get("args")
    identity = call.get("id")
    function = {"name": name, "arguments": write_json({} if arguments is None else arguments).decode()}
    read: dict[str, object] = {"type": "function", "function": function}
    if isinstance(identity, str) and identity:
        read["id"] = identity
    if signature is not None:
        read["extra_content"] = signed(signature)
    return read


def _read_logprobs(result: object) -> dict[str, object] | None:
    chosen = result.get("chosenCandidates") if isinstance(result, Mapping) else None
    if not isinstance(result, Mapping) or not isinstance(chosen, list):
        return None
    tops = result.get("topCandidates")
    tops = tops if isinstance(tops, list) else []
    content = []
    for position, each in enumerate(chosen):
        top = tops[position] if position < len(tops) else None
        others = top.get("candidates") if isinstance(top, Mapping) else None
        token = _token(each)
        if token is not None:
            found = [_token(other) for other in others] if isinstance(others, list) else []
            content.append({**token, "top_logprobs": [other for other in found if other is not None]})
    return {"content": content, "refusal": None}


def _token(value: object) -> dict[str, object] | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("token"), str):
        return None
    probability = value.get("logProbability", 0.0)  # protobuf leaves out what is 0
    if isinstance(probability, bool) or not isinstance(probability, int | float):
        return None
    return {"token": value["token"], "logprob": probability, "bytes": None}
