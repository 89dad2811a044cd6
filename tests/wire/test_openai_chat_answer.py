"""Answers that do not stream."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.core.outcome import Failure
from streamroute.core.usage import Usage
from streamroute.wire.openai_chat.answer import Answer, read_answer
from streamroute.wire.openai_chat.usage import read_usage


def answer(message: object, finish: object = "stop", **more: object) -> bytes:
    return orjson.dumps(
        {"model": "small-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}
    )


def test_a_whole_answer() -> None:
    """Model and usage are read; the body is the caller's."""
    body = answer({"role": "assistant", "content": "Hi"}, usage={"prompt_tokens": 3, "completion_tokens": 1})
    assert read_answer(body) == Answer(body=body, model="small-1", usage=Usage(input_tokens=3, output_tokens=1))


@pytest.mark.parametrize(
    "body",
    [
        answer({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls"),
        answer({"content": None, "refusal": "No."}),
        answer({"content": None, "reasoning_content": "Hm."}),
        answer({"role": "assistant", "content": ""}, "length"),
        answer({"role": "assistant", "content": ""}, "content_filter"),
        orjson.dumps({"choices": [{"message": {"content": ""}}, {"message": {"content": "x"}}]}),
    ],
)
def test_answers_without_text_that_are_answers(body: bytes) -> None:
    """Tool calls, refusals, hidden reasoning, a length limit and a content filter are answers."""
    assert isinstance(read_answer(body), Answer)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (orjson.dumps({"choices": []}), "empty"),
        (answer({"role": "assistant", "content": ""}), "empty"),
        (answer({"role": "assistant", "content": None}, None), "empty"),
        (answer({"role": "assistant", "content": "x"})[:-1], "malformed"),
        (b"<html>", "malformed"),
        (b"[]", "malformed"),
        (b"{}", "malformed"),
        (b'{"choices": {}}', "malformed"),
        (b'{"choices": [null]}', "malformed"),
        (b'{"choices": [{"message": "x"}]}', "malformed"),
        (b'{"error": {"message": "x", "code": 429}}', "rate_limited"),
        (b'{"error": "x", "choices": []}', "server_error"),
    ],
)
def test_answers_that_are_none(body: bytes, kind: str) -> None:
    """A 200 that is broken, empty or an error in disguise is a failure."""
    failure = read_answer(body)
    assert isinstance(failure, Failure)
    assert failure.kind == kind


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        (None, None),
        ({}, None),
        ([], None),
        ("x", None),
        ({"prompt_tokens": 3}, Usage(input_tokens=3)),
        ({"prompt_tokens": -3, "completion_tokens": "7"}, Usage()),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Usage(input_tokens=9, output_tokens=5, cached_input_tokens=4, cache_write_tokens=2, reasoning_tokens=3),
        ),
        ({"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}, Usage(input_tokens=9, cached_input_tokens=4)),
        ({"prompt_tokens": 9, "prompt_tokens_details": None}, Usage(input_tokens=9)),
    ],
)
def test_usage(value: object, usage: Usage | None) -> None:
    """Counts are read in the spellings of OpenAI and DeepSeek; nonsense counts as nothing."""
    assert read_usage(value) == usage


def test_usage_adds_up() -> None:
    """The usage of a request is the sum over its attempts."""
    one = Usage(input_tokens=1, output_tokens=2, cached_input_tokens=3, cache_write_tokens=4, reasoning_tokens=5)
    two = Usage(input_tokens=2, output_tokens=4, cached_input_tokens=6, cache_write_tokens=8, reasoning_tokens=10)
    assert one + one == two
    assert one + Usage() == one


@settings(deadline=None, max_examples=100)
@given(body=st.binary(max_size=30), cut=st.integers(0, 200))
def test_any_body_is_judged(body: bytes, cut: int) -> None:
    """No body raises, and no cut answer passes for a whole one."""
    assert isinstance(read_answer(body), Failure)
    whole = answer({"role": "assistant", "content": "x" * 20})
    assert isinstance(read_answer(whole[: cut % len(whole)]), Failure)
