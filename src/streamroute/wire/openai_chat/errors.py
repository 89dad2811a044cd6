"""OpenAI's error objects: reading a provider's, writing ours.

Compatible providers agree on the shape `{"error": {"message", "type", "param", "code"}}` and on little else: codes come
as strings, numbers or not at all, so the HTTP status decides first and the words only refine it.
"""

import re
from collections.abc import Mapping, Sequence

from streamroute.core.outcome import Failure, FailureKind
from streamroute.wire.json_text import read_json, write_json

MAX_ERROR_BYTES = 64 * 1024
"""What is kept of an error body; larger ones are pages of HTML."""
MAX_MESSAGE_CHARS = 500
CLIENTS_KINDS: frozenset[FailureKind] = frozenset(
    {"client_error", "context_length_exceeded", "content_filtered", "model_not_found"}
)
"""Failures that are told to the client in the provider's own words."""

_BY_STATUS: dict[int, FailureKind] = {
    401: "auth_failed",
    402: "quota_exhausted",
    403: "auth_failed",
    408: "server_error",  # the provider gave up waiting, for us or for itself: worth another upstream
    425: "server_error",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",  # Anthropic's overloaded_error
}
_BY_WORD: dict[str, FailureKind] = {
    "context_length_exceeded": "context_length_exceeded",
    "exceed_context_size_error": "context_length_exceeded",  # llama.cpp
    "content_filter": "content_filtered",  # Azure
    "content_policy_violation": "content_filtered",
    "insufficient_quota": "quota_exhausted",
    "billing_hard_limit_reached": "quota_exhausted",
    "invalid_api_key": "auth_failed",
    "authentication_error": "auth_failed",
    "permission_error": "auth_failed",
    "model_not_found": "model_not_found",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "slow_down": "rate_limited",
    "overloaded_error": "overloaded",
    "overloaded": "overloaded",
    "server_error": "server_error",
    "invalid_request_error": "client_error",
}
_CONTEXT_MESSAGE = re.compile(
    r"input token count.{0,40}exceed|maximum context length"
    r"|context (?:length|window|size)|prompt is too long|too many (?:input )?tokens"
    r"|input (?:is|length).{0,40}(?:too long|exceed)|exceeds? the (?:model's )?(?:available )?context",
    re.IGNORECASE,
)
_KEY_MESSAGE = re.compile(r"api key (?:not valid|invalid|expired)|(?:invalid|incorrect) api key", re.IGNORECASE)
_MODEL_MESSAGE = re.compile(r"\bmodel\b.{0,200}\b(?:not found|not exist|unknown|no access)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
# Keys that providers echo in their complaints: "Incorrect API key provided: sk-...abcd".
_SECRET = re.compile(
    r"\b(?:sk|pk|gsk|xai|key|r8|hf|nvapi|csk|fw|pplx)[-_][A-Za-z0-9*_\-.]{6,}|AIza[A-Za-z0-9*_\-]{6,}|Bearer\s+\S+",
    re.IGNORECASE,
)


def read_error_response(status: int, body: bytes, *, retry_after_s: float | None = None) -> Failure:
    """Classify a response that is not a 2xx one. `body` may be anything, also empty or cut."""
    fields = _error_fields(_loads(body))
    kind = _BY_STATUS.get(status)
    if kind is None:
        kind = "server_error" if status >= 500 or status < 400 else _client_error_kind(fields, status)
    elif kind == "rate_limited" and _word_kind(fields) == "quota_exhausted":
        kind = "quota_exhausted"
    elif status == 403 and _is_moderation(fields):
        kind = "content_filtered"
    message = _text(fields.get("message")) or f"HTTP {status} without an error message"
    return Failure(
        kind=kind,
        message=redact(message)[:MAX_MESSAGE_CHARS],
        http_status=status,
        retry_after_s=retry_after_s,
        error_body=_error_body(fields, message) if kind in CLIENTS_KINDS else None,
        is_quote=True,
        provider_code=_code_word(fields),
    )


def read_error_event(payload: Mapping[str, object]) -> Failure:
    """Classify an error object that came inside a stream or in a 200 response."""
    fields = _error_fields(payload)
    code = fields.get("code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    kind = _word_kind(fields)
    if kind in {None, "client_error"} and status is not None:
        kind = _BY_STATUS.get(status) or ("server_error" if status >= 500 else "client_error")
    message = _text(fields.get("message")) or "an error event without a message"
    if kind is None or kind == "client_error":
        kind = "context_length_exceeded" if is_context_message(message) else "server_error"
    return Failure(
        kind=kind,
        message=redact(message)[:MAX_MESSAGE_CHARS],
        http_status=status,
        is_quote=True,
        provider_code=_code_word(fields),
    )


def encode_error(
    message: str,
    *,
    type_: str,
    code: str | None = None,
    param: str | None = None,
    details: Sequence[Mapping[str, object]] = (),
    partial: Mapping[str, object] | None = None,
) -> bytes:
    """Write an error object with all four keys; `details` says what was tried, beside them.

    `partial` is what a client has of a stream that broke off. The event then is also a chunk, whose finish reason is
    `error`: OpenRouter's convention (https://openrouter.ai/docs/api-reference/streaming).
    """
    error: dict[str, object] = {"message": message, "type": type_, "param": param, "code": code}
    if details:
        error["attempts"] = list(details)
    if partial is None:
        return write_json({"error": error})
    error["partial"] = {"chars": partial.get("chars"), "tokens": partial.get("tokens")}
    choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
    envelope = {"id": partial.get("id"), "object": "chat.completion.chunk", "model": partial.get("model")}
    return write_json({"error": error, **envelope, "choices": [choice]})


def encode_error_event(error_body: bytes) -> bytes:
    """Write an error object as the last event of a stream; the SDKs raise on any `data.error`."""
    return b"data: " + error_body + b"\n\n"


def redact(text: str) -> str:
    """Blank what looks like a key: providers echo them in their error messages."""
    return _SECRET.sub("[redacted]", text)


def is_context_message(message: str) -> bool:
    """Tell, by its words, a complaint that the prompt is longer than the model takes."""
    return _CONTEXT_MESSAGE.search(message) is not None


def _client_error_kind(fields: Mapping[str, object], status: int) -> FailureKind:
    kind = _word_kind(fields)
    if kind in {"context_length_exceeded", "content_filtered", "quota_exhausted", "auth_failed", "model_not_found"}:
        return kind
    message = _text(fields.get("message"))
    if _KEY_MESSAGE.search(message):
        return "auth_failed"  # Gemini says so with a 400
    if status == 404 and _MODEL_MESSAGE.search(message):
        return "model_not_found"  # vLLM and Ollama have words of their own
    return "context_length_exceeded" if is_context_message(message) else "client_error"


def _is_moderation(fields: Mapping[str, object]) -> bool:
    """Tell a refusal of what was said from a refusal of who said it: OpenRouter answers 403 to flagged input."""
    metadata = fields.get("metadata")
    has_reasons = isinstance(metadata, Mapping) and bool(metadata.get("reasons") or metadata.get("flagged_input"))
    return has_reasons or _word_kind(fields) == "content_filtered"


def _code_word(fields: Mapping[str, object]) -> str | None:
    """Return the error's code, or its type: one word, so that it cannot quote anything."""
    for key in ("code", "type", "status"):
        word = str(fields.get(key) or "")
        if _WORD.fullmatch(word):
            return redact(word)
    return None


def _word_kind(fields: Mapping[str, object]) -> FailureKind | None:
    for key in ("code", "type", "status"):
        word = fields.get(key)
        kind = _BY_WORD.get(word.lower()) if isinstance(word, str) else None
        if kind is not None and kind != "client_error":
            return kind
    return "client_error" if fields.get("type") == "invalid_request_error" else None


def _error_fields(payload: object) -> Mapping[str, object]:
    if isinstance(payload, list) and len(payload) == 1:
        payload = payload[0]  # Gemini's compatible endpoint wraps its errors in a list
    if not isinstance(payload, Mapping):
        return {}
    error = payload.get("error", payload)
    if isinstance(error, Mapping):
        return error
    return {"message": error, "code": payload.get("code"), "type": payload.get("type")}


def _error_body(fields: Mapping[str, object], message: str) -> bytes:
    try:
        return write_json({"error": _four_keys(fields, message)})
    except ValueError:  # nested too deeply to be written again
        return encode_error(redact(message), type_="invalid_request_error")


def _four_keys(fields: Mapping[str, object], message: str) -> dict[str, object]:
    rest = {key: value for key, value in fields.items() if key not in {"message", "type", "param", "code"}}
    return {
        "message": redact(message),
        "type": _text(fields.get("type")) or "invalid_request_error",
        "param": _text(fields.get("param")) or None,
        "code": _text(code) if isinstance(code := fields.get("code"), str) else code,
        **{key: value for key, value in rest.items() if key == "innererror"},  # Azure's content-filter verdicts
    }


def _loads(body: bytes) -> object:
    try:
        return read_json(body)
    except ValueError:
        return None


def _text(value: object) -> str:
    """Return text that can be written anywhere: half of a surrogate pair, an emoji cut in two, cannot."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else ""
