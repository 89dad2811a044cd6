"""Gemini's whole answers, written as OpenAI's."""

from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion

from streamroute.core.outcome import Failure
from streamroute.wire.gemini.answer import translate_answer
from streamroute.wire.openai_chat.answer import read_answer
from tests.support.gemini_streams import USAGE, call, candidate, piece, text


def translate(payload: object, choices: int = 1) -> bytes | Failure:
    return translate_answer(orjson.dumps(payload), created_s=1_700_000_000, model="gemini-flash", choices=choices)


def read(payload: object, choices: int = 1) -> dict[str, Any]:
    """Return the answer, which OpenAI's SDK can read and nobody finds fault with."""
    body = translate(payload, choices)
    assert isinstance(body, bytes)
    assert not isinstance(read_answer(body), Failure)
    ChatCompletion.model_validate_json(body)
    answer = orjson.loads(body)
    assert isinstance(answer, dict)
    return answer


def test_a_plain_answer() -> None:
    assert read(text("Hello", finish="STOP", usage={**USAGE, "serviceTier": "flex"})) == {
        "id": "REVVabaiCdq4qts",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gemini-2.5-flash",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello"},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
            "service_tier": "flex",
        },
    }


def test_calls_thoughts_and_signatures() -> None:
    parts = [
        {"text": "Hm.", "thought": True},
        {"text": "Well", "thoughtSignature": "dGV4dA=="},
        {**call("f", {"a": 1}), "thoughtSignature": "Y2FsbA=="},
    ]
    choice = read(piece(candidate(*parts, finish="STOP")))["choices"][0]
    assert choice["message"] == {
        "role": "assistant",
        "content": "Well",
        "reasoning_content": "Hm.",
        "tool_calls": [
            {
                "id": "call_REVVabaiCdq4qts_0",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a":1}'},
                "extra_content": {"google": {"thought_signature": "Y2FsbA=="}},
            }
        ],
        "extra_content": {"google": {"thought_signature": "dGV4dA=="}},
    }
    assert choice["finish_reason"] == "tool_calls"


def test_made_up_ids_differ_between_choices() -> None:
    """Within one answer, too: they name the results of the next turn."""
    asked = piece(
        candidate(call("f", {}), call("f", {}), finish="STOP", index=0),
        candidate(call("f", {}), finish="STOP", index=1),
    )
    ids = [each["id"] for choice in read(asked, 2)["choices"] for each in choice["message"]["tool_calls"]]
    assert len(set(ids)) == 3
    assert all(len(each) <= 40 for each in ids)


def test_a_blocked_prompt_and_a_limit_without_content() -> None:
    blocked = read({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
    assert blocked["choices"][0]["finish_reason"] == "content_filter"
    spent = read(piece({"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}))
    assert spent["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}, "rate_limited"),
        ([{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}], "overloaded"),
        ([text("a", finish="STOP")], "malformed"),
        (text("a"), "truncated"),
        (text("a", finish="OTHER"), "server_error"),
        (piece(candidate(finish="MALFORMED_FUNCTION_CALL")), "server_error"),
        ({"candidates": "x"}, "malformed"),
        ({"candidates": [1]}, "malformed"),
        ("x", "malformed"),
    ],
)
def test_answers_that_are_none(payload: object, kind: str) -> None:
    found = translate(payload)
    assert isinstance(found, Failure)
    assert found.kind == kind


def test_broken_and_empty_bodies() -> None:
    for body in (b"", b'{"candidates": ['):
        found = translate_answer(body, created_s=0, model="m")
        assert isinstance(found, Failure)
        assert found.kind == "malformed"
    empty = translate(piece(usage=USAGE))
    assert isinstance(empty, bytes)
    answer = read_answer(empty)
    assert isinstance(answer, Failure)
    assert answer.kind == "empty"
