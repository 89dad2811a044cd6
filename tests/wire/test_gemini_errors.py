"""Google's errors, in every shape they come in, get the kind that they call for."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.wire.gemini.errors import error_fields, read_error, read_error_response


def error(code: int, status: str, message: str = "m", details: object = ()) -> bytes:
    return orjson.dumps({"error": {"code": code, "message": message, "status": status, "details": details}})


def quota(quota_id: str, delay: str | None = None) -> list[dict[str, object]]:
    violations = [{"quotaMetric": "generate_content_free_tier_requests", "quotaId": quota_id}]
    retry = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}] if delay else []
    return [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}, *retry]


NO_KEY = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
TOO_LONG = "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
NO_MODEL = "models/gemini-pro is not found for API version v1beta, or is not supported for generateContent."

RESPONSES: list[tuple[str, int, bytes, str]] = [
    ("argument", 400, error(400, "INVALID_ARGUMENT", "Invalid value at 'contents'"), "client_error"),
    ("key by its words", 400, error(400, "INVALID_ARGUMENT", "API key not valid. Please pass one."), "auth_failed"),
    ("key by its reason", 400, error(400, "INVALID_ARGUMENT", "No", NO_KEY), "auth_failed"),
    ("country", 400, error(400, "FAILED_PRECONDITION", "User location is not supported"), "auth_failed"),
    ("context", 400, error(400, "INVALID_ARGUMENT", TOO_LONG), "context_length_exceeded"),
    ("forbidden", 403, error(403, "PERMISSION_DENIED"), "auth_failed"),
    ("unauthenticated", 401, error(401, "UNAUTHENTICATED"), "auth_failed"),
    ("model", 404, error(404, "NOT_FOUND", NO_MODEL), "model_not_found"),
    ("file", 404, error(404, "NOT_FOUND", "Requested entity was not found."), "client_error"),
    ("rate", 429, error(429, "RESOURCE_EXHAUSTED"), "rate_limited"),
    ("a minute", 429, error(429, "RESOURCE_EXHAUSTED", details=quota("GenerateRequestsPerMinute")), "rate_limited"),
    ("a day", 429, error(429, "RESOURCE_EXHAUSTED", details=quota("RequestsPerDayPerProject")), "quota_exhausted"),
    ("internal", 500, error(500, "INTERNAL"), "server_error"),
    ("overloaded", 503, error(503, "UNAVAILABLE", "The model is overloaded."), "overloaded"),
    ("deadline", 504, error(504, "DEADLINE_EXCEEDED"), "server_error"),
    ("in an array", 429, b"[" + error(429, "RESOURCE_EXHAUSTED") + b"]", "rate_limited"),
    ("without a status", 400, b'{"error": {"message": "API key expired"}}', "auth_failed"),
    ("text", 502, b"<html>Bad Gateway</html>", "server_error"),
    ("nothing", 503, b"", "overloaded"),
]


@pytest.mark.parametrize(
    ("body", "status", "kind"), [(b, s, k) for _, s, b, k in RESPONSES], ids=[r[0] for r in RESPONSES]
)
def test_responses(body: bytes, status: int, kind: str) -> None:
    failure = read_error_response(status, body)
    assert (failure.kind, failure.http_status) == (kind, status)


@pytest.mark.parametrize(
    ("body", "header_s", "wait_s"),
    [
        (error(429, "RESOURCE_EXHAUSTED", details=quota("PerMinute", "38.5s")), None, 38.5),
        (error(429, "RESOURCE_EXHAUSTED", details=quota("PerMinute", "38s")), 2.0, 2.0),
        (error(429, "RESOURCE_EXHAUSTED", details=quota("PerMinute", "999999s")), None, 3600.0),
        (error(429, "RESOURCE_EXHAUSTED", details=quota("PerMinute", "soon")), None, None),
        (error(429, "RESOURCE_EXHAUSTED", "Please retry in 12.25s."), None, 12.25),
        (error(429, "RESOURCE_EXHAUSTED"), None, None),
    ],
)
def test_how_long_to_wait(body: bytes, header_s: float | None, wait_s: float | None) -> None:
    assert read_error_response(429, body, retry_after_s=header_s).retry_after_s == wait_s


def test_clients_get_the_error_in_their_own_format() -> None:
    failure = read_error_response(400, error(400, "INVALID_ARGUMENT", "Invalid value"))
    assert orjson.loads(failure.error_body or b"") == {
        "error": {
            "message": "Invalid value",
            "type": "invalid_request_error",
            "param": None,
            "code": "INVALID_ARGUMENT",
        }
    }
    assert failure.provider_code == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (error(400, "INVALID_ARGUMENT", TOO_LONG), 400, "context_length_exceeded"),
        (error(404, "NOT_FOUND", NO_MODEL), 404, "model_not_found"),
    ],
)
def test_codes_that_clients_look_for(body: bytes, status: int, code: str) -> None:
    """OpenAI has codes for these, Google only words."""
    found = orjson.loads(read_error_response(status, body).error_body or b"")["error"]
    assert (found["type"], found["code"]) == ("invalid_request_error", code)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (503, "UNAVAILABLE", "overloaded"),
        (429, "RESOURCE_EXHAUSTED", "rate_limited"),
        (500, "INTERNAL", "server_error"),
        (400, "INVALID_ARGUMENT", "server_error"),  # after a 200 the request had been accepted
    ],
)
def test_errors_within_a_stream(code: int, status: str, kind: str) -> None:
    fields = error_fields(orjson.loads(error(code, status)))
    assert fields is not None
    failure = read_error(fields)
    assert (failure.kind, failure.http_status, failure.provider_code) == (kind, code, status)


keys = st.sampled_from(["error", "code", "status", "message", "details", "violations", "quotaId", "retryDelay"])
json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(payload=json, status=st.integers(300, 599))
def test_any_json_is_a_failure(payload: object, status: int) -> None:
    """Whatever a proxy on the way makes of an error, it is classified and nothing is raised."""
    failure = read_error_response(status, orjson.dumps(payload))
    assert failure.http_status == status
