"""Errors in Anthropic's words, and whole answers that are none."""

import json
from typing import Any

import orjson
import pytest

from streamroute.core.outcome import Failure, FailureKind
from streamroute.core.usage import Usage
from streamroute.wire.anthropic_messages.answer import read_answer
from streamroute.wire.anthropic_messages.errors import read_error_response
from streamroute.wire.openai_chat.answer import Answer
from tests.support.messages_streams import START_USAGE, error


def body(type_: str, message: str = "No.", **more: Any) -> bytes:
    return json.dumps(
        {"type": "error", "error": {"type": type_, "message": message, **more}, "request_id": "r"}
    ).encode()


@pytest.mark.parametrize(
    ("status", "type_", "message", "kind"),
    [
        (400, "invalid_request_error", "max_tokens: too large", "client_error"),
        (400, "invalid_request_error", "prompt is too long: 203345 tokens > 200000 maximum", "context_length_exceeded"),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API.",
            "quota_exhausted",
        ),
        (400, "invalid_request_error", "Output blocked by content filtering policy", "content_filtered"),
        (401, "authentication_error", "invalid x-api-key", "auth_failed"),
        (402, "billing_error", "No.", "quota_exhausted"),
        (403, "permission_error", "No.", "auth_failed"),
        (404, "not_found_error", "model: claude-9", "model_not_found"),
        (404, "not_found_error", "Not found", "client_error"),
        (413, "request_too_large", "Request exceeds the maximum size", "client_error"),
        (429, "rate_limit_error", "No.", "rate_limited"),
        (500, "api_error", "Internal server error", "server_error"),
        (504, "timeout_error", "No.", "server_error"),
        (529, "overloaded_error", "Overloaded", "overloaded"),
        (418, "teapot_error", "No.", "client_error"),
        (503, "new_error", "No.", "server_error"),
    ],
)
def test_every_type_has_its_kind(status: int, type_: str, message: str, kind: FailureKind) -> None:
    failure = read_error_response(status, body(type_, message), retry_after_s=2.0)
    assert (failure.kind, failure.message, failure.http_status) == (kind, message, status)
    assert (failure.retry_after_s, failure.provider_code, failure.is_quote) == (2.0, type_, True)


def test_clients_read_openais_shape() -> None:
    """The client's own errors are told in the words of the provider; keys in them are not."""
    told = read_error_response(
        400, body("invalid_request_error", "prompt is too long; sk-ant-api03-abcdefgh")
    ).error_body
    assert orjson.loads(told or b"") == {
        "error": {
            "message": "prompt is too long; [redacted]",
            "type": "invalid_request_error",
            "param": None,
            "code": "context_length_exceeded",
        }
    }
    assert read_error_response(529, body("overloaded_error")).error_body is None


def test_the_code_of_the_cause() -> None:
    """Newer API versions name it."""
    failure = read_error_response(400, body("invalid_request_error", details={"error_code": "region_not_supported"}))
    assert failure.provider_code == "region_not_supported"
    failure = read_error_response(400, body("invalid_request_error", details={"error_code": "no code at all"}))
    assert failure.provider_code == "invalid_request_error"


@pytest.mark.parametrize(
    ("status", "data", "kind"),
    [
        (502, b"<html>Bad Gateway</html>", "server_error"),
        (529, b"", "overloaded"),
        (429, b'{"error": {"message": "slow down", "type": "rate_limit_error"}}', "rate_limited"),
        (401, b'{"error": "no key"}', "auth_failed"),
        (400, b"[1]", "client_error"),
    ],
)
def test_what_stands_before_the_provider_has_words_of_its_own(status: int, data: bytes, kind: FailureKind) -> None:
    assert read_error_response(status, data).kind == kind


def message(*content: object, stop: str | None = "end_turn", **more: object) -> bytes:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-1", "usage": START_USAGE}
    return json.dumps({**head, "content": list(content), "stop_reason": stop, **more}).encode()


def test_a_whole_answer() -> None:
    answer = read_answer(
        message(
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "text", "text": "Hel"},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "text", "text": "lo"},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}},
            stop="tool_use",
        ),
        created=7,
    )
    assert isinstance(answer, Answer)
    assert answer.usage == Usage(
        input_tokens=45, output_tokens=1, cached_input_tokens=30, cache_write_tokens=5, cache_write_1h_tokens=3,
        tier="standard",
    )  # fmt: skip
    told = orjson.loads(answer.body)
    [choice] = told["choices"]
    assert (told["id"], told["object"], told["created"], told["model"]) == ("msg_1", "chat.completion", 7, "claude-1")
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "Hm.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
        ],
        "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}],
    }


def test_a_call_alone_has_no_content() -> None:
    answer = read_answer(message({"type": "tool_use", "id": "t", "name": "look", "input": {}}), created=7)
    assert isinstance(answer, Answer)
    [choice] = orjson.loads(answer.body)["choices"]
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"{}", "empty"),
        (b'{"type": "message", "content": [{"type": "te', "malformed"),
        (b"[1]", "malformed"),
        (b'{"content": "Hi", "stop_reason": "end_turn"}', "malformed"),
        (message({"type": "text", "text": "Hel"}, stop=None), "truncated"),
        (message(), "empty"),
        (json.dumps(error("overloaded_error")).encode(), "overloaded"),
        (b'{"error": {"message": "bad gateway", "code": 502}}', "server_error"),
    ],
)
def test_what_is_no_answer(data: bytes, kind: FailureKind) -> None:
    failure = read_answer(data, created=7)
    assert isinstance(failure, Failure)
    assert failure.kind == kind


def test_silence_with_a_reason_is_an_answer() -> None:
    assert isinstance(read_answer(message(stop="refusal"), created=7), Answer)
    assert isinstance(read_answer(message(stop="max_tokens"), created=7), Answer)
