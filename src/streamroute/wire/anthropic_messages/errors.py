"""Errors: `{"type": "error", "error": {"type", "message", "details"?}}`, as a response or as an event of a stream.

Source: https://platform.claude.com/docs/en/api/errors. What is not in that shape comes from something in front of the
provider, and is read as anybody's.
"""

from collections.abc import Mapping

from streamroute.core.outcome import Failure, FailureKind
from streamroute.wire.json_text import read_json
from streamroute.wire.openai_chat import errors as chat_errors
from streamroute.wire.openai_chat.errors import CLIENTS_KINDS, MAX_MESSAGE_CHARS, encode_error, is_context_message

_KINDS: dict[str, tuple[FailureKind, int]] = {
    "invalid_request_error": ("client_error", 400),
    "authentication_error": ("auth_failed", 401),
    "billing_error": ("quota_exhausted", 402),
    "permission_error": ("auth_failed", 403),
    "not_found_error": ("client_error", 404),
    "request_too_large": ("client_error", 413),
    "rate_limit_error": ("rate_limited", 429),
    "api_error": ("server_error", 500),
    "timeout_error": ("server_error", 504),
    "overloaded_error": ("overloaded", 529),
}
"""By the error's type, with the HTTP status that goes with it: within a stream the type is all there is."""

_HUB_CODES: dict[FailureKind, str] = {
    "context_length_exceeded": "context_length_exceeded",
    "content_filtered": "content_filter",
    "model_not_found": "model_not_found",
}
"""OpenAI's codes, which clients look at, where Anthropic gives none."""


def read_error_response(status: int, body: bytes, *, retry_after_s: float | None = None) -> Failure:
    """Classify a response that is not a 200 one. `body` may be anything, also empty or cut."""
    try:
        payload = read_json(body)
    except ValueError:
        payload = None
    if not isinstance(payload, Mapping) or _fields(payload) is None:
        return chat_errors.read_error_response(status, body, retry_after_s=retry_after_s)
    return _failure(payload, status, retry_after_s)


def read_error_event(payload: Mapping[str, object]) -> Failure:
    """Classify an error that came inside a stream or in a 200 response."""
    return chat_errors.read_error_event(payload) if _fields(payload) is None else _failure(payload, None, None)


def _fields(payload: Mapping[str, object]) -> Mapping[str, object] | None:
    error = payload.get("error")
    return error if payload.get("type") == "error" and isinstance(error, Mapping) else None


def _failure(payload: Mapping[str, object], status: int | None, retry_after_s: float | None) -> Failure:
    fields = _fields(payload) or {}
    message, type_ = fields.get("message"), fields.get("type")
    message = message.encode(errors="replace").decode() if isinstance(message, str) else "an error without a message"
    type_ = type_ if isinstance(type_, str) else ""
    known = _KINDS.get(type_)
    kind = known[0] if known else "client_error" if status is not None and status < 500 else "server_error"
    if kind == "client_error":
        kind = _refined(message, type_)
    message = chat_errors.redact(message)
    code = _code(fields) or _HUB_CODES.get(kind)
    return Failure(
        kind=kind,
        message=message[:MAX_MESSAGE_CHARS],
        http_status=status or (known[1] if known else None),
        retry_after_s=retry_after_s,
        error_body=encode_error(message, type_=type_ or "invalid_request_error", code=code)
        if kind in CLIENTS_KINDS and status is not None
        else None,
        is_quote=True,
        provider_code=_code(fields) or type_ or None,
    )


def _refined(message: str, type_: str) -> FailureKind:
    """Tell what only the wording tells: these all come as `invalid_request_error` or `not_found_error`."""
    lower = message.lower()
    if type_ == "not_found_error" and lower.startswith("model:"):
        return "model_not_found"
    if "credit balance is too low" in lower:
        return "quota_exhausted"
    if "content filtering policy" in lower:
        return "content_filtered"
    return "context_length_exceeded" if is_context_message(message) else "client_error"


def _code(fields: Mapping[str, object]) -> str | None:
    """Return the stable code of the cause, which API versions since 2026 send."""
    details = fields.get("details")
    code = details.get("error_code") if isinstance(details, Mapping) else None
    return code if isinstance(code, str) and code.replace("_", "").isalnum() and len(code) <= 64 else None
