"""Reading a provider's error objects, and writing ours."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.wire.openai_chat.errors import (
    encode_error,
    encode_error_event,
    read_error_event,
    read_error_response,
    redact,
)


def error(**fields: object) -> bytes:
    return orjson.dumps({"error": fields})


CONTEXT_OPENAI = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."

RESPONSES: list[tuple[str, int, bytes, str]] = [
    ("openai context", 400, error(message=CONTEXT_OPENAI, code="context_length_exceeded"), "context_length_exceeded"),
    ("openai parameter", 400, error(message="Unsupported value", type="invalid_request_error"), "client_error"),
    ("openai key", 401, error(message="Incorrect API key provided", code="invalid_api_key"), "auth_failed"),
    ("openai model", 404, error(message="does not exist", code="model_not_found"), "model_not_found"),
    ("openai rate", 429, error(message="Rate limit reached", code="rate_limit_exceeded"), "rate_limited"),
    ("openai quota", 429, error(message="Exceeded quota", code="insufficient_quota"), "quota_exhausted"),
    ("openai 500", 500, error(message="The server had an error", type="server_error"), "server_error"),
    ("openai 503", 503, error(message="The engine is overloaded", type="server_error"), "overloaded"),
    (
        "azure filter",
        400,
        error(message="filtered", code="content_filter", param="prompt", innererror={"code": "ResponsibleAI"}),
        "content_filtered",
    ),
    ("azure forbidden", 403, error(code="403", message="Out of call volume quota"), "auth_failed"),
    ("anthropic overloaded", 529, error(type="overloaded_error", message="Overloaded"), "overloaded"),
    (
        "anthropic long",
        400,
        error(type="invalid_request_error", message="prompt is too long"),
        "context_length_exceeded",
    ),
    ("groq tool", 400, error(code="tool_use_failed", message="x", type="invalid_request_error"), "client_error"),
    ("groq rate", 429, error(code="rate_limit_exceeded", type="tokens", message="Rate limit"), "rate_limited"),
    ("openrouter rate", 429, error(code=429, message="Provider returned error"), "rate_limited"),
    ("openrouter credits", 402, error(code=402, message="Insufficient credits"), "quota_exhausted"),
    ("openrouter down", 502, error(code=502, message="Provider returned error"), "server_error"),
    (
        "llama.cpp context",
        400,
        error(code=400, type="exceed_context_size_error", message="request (9000 tokens) exceeds", n_ctx=4096),
        "context_length_exceeded",
    ),
    ("llama.cpp loading", 503, error(code=503, message="Loading model", type="unavailable_error"), "overloaded"),
    (
        "vllm context",
        400,
        orjson.dumps({"object": "error", "message": CONTEXT_OPENAI, "type": "BadRequestError", "code": 400}),
        "context_length_exceeded",
    ),
    (
        "vllm model",
        404,
        orjson.dumps({"object": "error", "message": "The model `x` does not exist.", "code": 404}),
        "model_not_found",
    ),
    (
        "ollama model",
        404,
        error(message='model "x" not found, try pulling it first', type="api_error"),
        "model_not_found",
    ),
    ("string", 400, b'{"error": "Input is too long for requested model"}', "context_length_exceeded"),
    ("bare string", 400, b'{"error": "nope"}', "client_error"),
    ("fastapi", 422, b'{"detail": [{"loc": ["body"], "msg": "field required"}]}', "client_error"),
    ("plain", 500, b"upstream connect error", "server_error"),
    ("plain 400", 400, b"bad", "client_error"),
    ("html", 502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "server_error"),
    ("html 403", 403, b"<html>Access denied</html>", "auth_failed"),
    ("nothing", 500, b"", "server_error"),
    ("nothing 400", 400, b"", "client_error"),
    ("cut", 429, b'{"error": {"message": "Rate lim', "rate_limited"),
    ("list", 400, b"[1, 2]", "client_error"),
    ("null error", 400, b'{"error": null}', "client_error"),
    ("request timeout", 408, b"", "server_error"),
    ("too large", 413, error(message="Request too large"), "client_error"),
    ("redirect", 302, b"", "server_error"),
    ("no content", 204, b"", "server_error"),
]


@pytest.mark.parametrize(("status", "body", "kind"), [row[1:] for row in RESPONSES], ids=[row[0] for row in RESPONSES])
def test_responses(status: int, body: bytes, kind: str) -> None:
    """What providers really send is put under the kind that decides what happens next."""
    failure = read_error_response(status, body, retry_after_s=2.0)
    assert failure.kind == kind
    assert failure.http_status == status
    assert failure.retry_after_s == 2.0
    assert failure.message
    returned = {"client_error", "context_length_exceeded", "content_filtered", "model_not_found"}
    assert (failure.error_body is not None) == (kind in returned)


def test_client_errors_keep_their_meaning() -> None:
    """An error that is the client's goes back with the provider's own words, in all four keys, Azure's verdicts too."""
    body = error(message="filtered", code="content_filter", innererror={"code": "X"}, secret_extra="y")
    failure = read_error_response(400, body)
    assert orjson.loads(failure.error_body or b"") == {
        "error": {
            "message": "filtered",
            "type": "invalid_request_error",
            "param": None,
            "code": "content_filter",
            "innererror": {"code": "X"},
        }
    }


def test_messages_are_bounded() -> None:
    """What is logged of an error is short, whatever the provider sent."""
    assert len(read_error_response(500, error(message="x" * 10_000)).message) <= 500
    assert len(read_error_event({"error": {"message": "x" * 10_000}}).message) <= 500


def test_error_nested_too_deeply_to_write() -> None:
    """A hostile error body is answered with an error of the same meaning, not with one of ours."""
    nested = b"[" * 600 + b"]" * 600
    failure = read_error_response(400, b'{"error": {"message": "no", "param": ' + nested + b"}}")
    assert orjson.loads(failure.error_body or b"")["error"]["message"] == "no"


@pytest.mark.parametrize(
    ("payload", "kind", "status"),
    [
        ({"error": {"message": "boom"}}, "server_error", None),
        ({"error": {"message": "boom", "code": 429}}, "rate_limited", 429),
        ({"error": {"message": "boom", "code": 503}}, "overloaded", 503),
        ({"error": {"message": "boom", "code": 400}}, "server_error", 400),
        ({"error": {"message": "boom", "code": 7}}, "server_error", None),
        ({"error": {"message": "boom", "code": True}}, "server_error", None),
        ({"error": {"message": CONTEXT_OPENAI, "code": 400}}, "context_length_exceeded", 400),
        ({"error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded", None),
        ({"error": {"type": "invalid_request_error", "message": "x"}}, "server_error", None),
        ({"error": {"code": "insufficient_quota"}}, "quota_exhausted", None),
        ({"error": "boom"}, "server_error", None),
        ({"error": [1]}, "server_error", None),
        ({"message": "boom", "code": 502}, "server_error", 502),
        ({}, "server_error", None),
    ],
)
def test_events(payload: dict[str, object], kind: str, status: int | None) -> None:
    """In a stream words decide, a numeric code counts as a status; what is unclear is the provider's fault."""
    failure = read_error_event(payload)
    assert (failure.kind, failure.http_status) == (kind, status)
    assert failure.message


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdef123456",
        "sk-ant-api03-Zz_9-aaaaaaa",
        "gsk_abcdefghijkl",
        "xai-abcdefghijkl",
        "AIzaSyA1234567890abcdef",
        "hf_abcdefghijkl",
        "nvapi-abcdefghijkl",
        "Bearer eyJhbGciOi.J9",
        "sk-****************abcd",
    ],
)
def test_keys_are_redacted(secret: str) -> None:
    """Providers echo keys in their complaints: neither logs nor clients are shown them."""
    message = f"Incorrect API key provided: {secret}. You can find it"
    assert secret not in redact(message)
    assert "[redacted]" in redact(message)
    for status in (400, 401, 404, 500):
        failure = read_error_response(status, error(message=message))
        assert secret not in failure.message
        assert secret.encode() not in (failure.error_body or b"")
    assert secret not in read_error_event({"error": {"message": message}}).message


def test_ordinary_words_are_not_redacted() -> None:
    """Messages stay readable."""
    message = "The key is wrong: use a task-specific model, risk-free, at https://example.com/keys"
    assert redact(message) == message


def test_our_errors_have_four_keys() -> None:
    """SDKs read all of them; what was tried stands beside them."""
    assert orjson.loads(encode_error("no", type_="server_error")) == {
        "error": {"message": "no", "type": "server_error", "param": None, "code": None}
    }
    full = orjson.loads(encode_error("no", type_="x", code="c", param="p", details=[{"upstream": "a"}]))
    assert full["error"] == {
        "message": "no",
        "type": "x",
        "param": "p",
        "code": "c",
        "attempts": [{"upstream": "a"}],
    }
    assert encode_error_event(b'{"error":{}}') == b'data: {"error":{}}\n\n'


@settings(deadline=None, max_examples=150)
@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=40)
    | st.dictionaries(
        st.sampled_from(["error", "message", "code", "type", "status", "param"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=6),
            lambda inner: (
                st.dictionaries(st.sampled_from(["message", "code", "type", "param"]), inner, max_size=3)
                | st.lists(inner, max_size=2)
            ),
            max_leaves=6,
        ),
        max_size=4,
    ).map(orjson.dumps),
)
def test_any_body_is_classified(status: int, body: bytes) -> None:
    """No body raises, and every one gets a kind and a message."""
    failure = read_error_response(status, body)
    assert failure.kind
    assert failure.message
