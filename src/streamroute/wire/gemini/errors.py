"""Google's error objects, `{"error": {"code", "message", "status", "details"}}`, also within an array.

Sources: https://ai.google.dev/gemini-api/docs/troubleshooting, and `google/rpc/error_details.proto` for the details.
They are written as OpenAI's, in words that the reader of those knows, so that both are classified in one place.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from streamroute.core.outcome import Failure
from streamroute.wire.json_text import read_json, write_json
from streamroute.wire.openai_chat import errors as openai_errors
from streamroute.wire.retry_after import MAX_RETRY_AFTER_S

_TYPES: dict[str, str] = {
    "INVALID_ARGUMENT": "invalid_request_error",
    "FAILED_PRECONDITION": "permission_error",  # billing is not enabled, or the API does not serve this country
    "OUT_OF_RANGE": "invalid_request_error",
    "UNAUTHENTICATED": "authentication_error",
    "PERMISSION_DENIED": "permission_error",
    "RESOURCE_EXHAUSTED": "rate_limit_error",
    "UNAVAILABLE": "overloaded",
    "INTERNAL": "server_error",
    "UNKNOWN": "server_error",
    "ABORTED": "server_error",
    "CANCELLED": "server_error",
    "DEADLINE_EXCEEDED": "server_error",
}
_BY_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
              429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}  # fmt: skip
_CODES = frozenset({"context_length_exceeded", "model_not_found"})
_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED"})
_KEY_MESSAGE = re.compile(r"api key", re.IGNORECASE)
_MODEL_MESSAGE = re.compile(r"\bmodels?\b", re.IGNORECASE)
_RETRY_MESSAGE = re.compile(r"retry in (\d{1,9}(?:\.\d{1,9})?)s", re.IGNORECASE)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_DAILY = "perday"
"""Within the `quotaId` of a quota that is given once a day: the `retryDelay` beside it means another one."""


def error_fields(payload: object) -> Mapping[str, object] | None:
    """Return the error object of what a provider sent; None where there is none."""
    if isinstance(payload, list) and payload:
        payload = payload[0]
    error = payload.get("error") if isinstance(payload, Mapping) else None
    if isinstance(error, Mapping):
        return error
    return {"message": error} if isinstance(error, str) and error else None


def hub_error(fields: Mapping[str, object], http_status: int | None = None) -> dict[str, object]:
    """Return OpenAI's error object for Google's; `http_status`: of the response, where it was one."""
    code = fields.get("code")
    status = fields.get("status")
    if not isinstance(status, str) or not status:
        status = _BY_STATUS.get(code if isinstance(code, int) else http_status or 0, "UNKNOWN")
    message = fields.get("message")
    message = message if isinstance(message, str) else ""
    type_ = _type(status, message, fields)
    if type_ == "invalid_request_error" and openai_errors.is_context_message(message):
        type_ = "context_length_exceeded"
    if type_ in _CODES:  # clients look for the code; Google has none for these
        return {"message": message, "type": "invalid_request_error", "param": None, "code": type_}
    return {"message": message, "type": type_, "param": None, "code": status}


def read_error(fields: Mapping[str, object]) -> Failure:
    """Classify an error object that came inside a stream or in a 200 response."""
    failure = openai_errors.read_error_event({"error": hub_error(fields)})
    code = fields.get("code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    return replace(failure, http_status=status, retry_after_s=_retry_delay_s(fields))


def read_error_response(status: int, body: bytes, *, retry_after_s: float | None = None) -> Failure:
    """Classify a response that is not a 2xx one. `body` may be anything, also empty or cut.

    `retry_after_s`: what its headers ask us to wait; else `RetryInfo`, or the message, may say it.
    """
    try:
        fields = error_fields(read_json(body))
    except ValueError:
        fields = None
    if fields is None:
        return openai_errors.read_error_response(status, body, retry_after_s=retry_after_s)
    wait_s = retry_after_s if retry_after_s is not None else _retry_delay_s(fields)
    try:
        hub_body = write_json({"error": hub_error(fields, status)})
    except ValueError:
        hub_body = b""
    return openai_errors.read_error_response(status, hub_body, retry_after_s=wait_s)


def _type(status: str, message: str, fields: Mapping[str, object]) -> str:
    """Return the word by which OpenAI's errors are classified."""
    if status == "INVALID_ARGUMENT" and (
        _KEY_REASONS & {str(each.get("reason")) for each in _details(fields)} or _KEY_MESSAGE.search(message)
    ):
        return "authentication_error"  # Google says so with a 400
    if status == "NOT_FOUND":
        return "model_not_found" if _MODEL_MESSAGE.search(message) else "invalid_request_error"
    if status == "RESOURCE_EXHAUSTED" and any(_DAILY in quota.lower() for quota in _quotas(fields)):
        return "insufficient_quota"
    return _TYPES.get(status, "server_error")


def _retry_delay_s(fields: Mapping[str, object]) -> float | None:
    """Return `RetryInfo.retryDelay`, such as `38.2s`, 0..3600 seconds."""
    for each in _details(fields):
        delay = each.get("retryDelay")
        found = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
        if found:
            return min(MAX_RETRY_AFTER_S, float(found[1]))
    found = _RETRY_MESSAGE.search(str(fields.get("message")))
    return min(MAX_RETRY_AFTER_S, float(found[1])) if found else None


def _quotas(fields: Mapping[str, object]) -> Iterator[str]:
    for each in _details(fields):
        violations = each.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, Mapping) and isinstance(quota := violation.get("quotaId"), str):
                yield quota


def _details(fields: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    details = fields.get("details")
    return [each for each in details if isinstance(each, Mapping)] if isinstance(details, list) else []
