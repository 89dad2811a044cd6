"""What routing reads out of a request's body."""

from typing import Any

import pytest

from streamroute.core.routing.question import Question
from streamroute.wire.openai_chat.question import TOOL_CHARS, read_question
from streamroute.wire.openai_chat.request import decode_request


def read(messages: list[Any], **more: Any) -> Question:
    return read_question({"model": "m", "messages": messages, **more})


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


def test_the_last_word_of_the_user() -> None:
    """It is the question; all that was said counts for its length."""
    found = read(
        [
            {"role": "system", "content": "Be brief."},
            user("First."),
            {"role": "assistant", "content": "Yes?"},
            user([{"type": "text", "text": "Then"}, {"type": "text", "text": "this."}]),
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "content": "42", "tool_call_id": "1"},
        ]
    )
    assert (found.text, found.messages, found.turns, found.tool_results) == ("Then\nthis.", 6, 2, 1)
    assert found.chars == len("Be brief.First.Yes?Thenthis.42")


def test_parts_that_are_no_text() -> None:
    """They are counted by kind, in all messages; their bytes are not text."""
    found = read(
        [
            user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]),
            user(
                [
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"file_id": "f"}},
                    {"type": "input_image", "image_url": "x"},
                    {"type": "something new", "text": "words"},
                    "nonsense",
                ]
            ),
        ]
    )
    assert (found.images, found.audio, found.files, found.text, found.chars) == (2, 1, 1, "words", 5)


def test_the_request_counts_the_same_parts() -> None:
    """What rules an upstream out is known without reading the question."""
    chat = decode_request(
        b'{"model": "m", "messages": [{"role": "user", "content": '
        b'[{"type": "file"}, {"type": "audio"}, {"type": "image"}, {"type": "image_url"}]}]}'
    )
    assert (chat.images, chat.audio, chat.files) == (2, 1, 1)


def test_signs_outside_of_ascii() -> None:
    """They are counted apart, for tokens are made of them otherwise."""
    found = read([user("abc日本語")])
    assert (found.chars, found.wide_chars) == (6, 3)


def test_tools() -> None:
    """Each counts for what its schema comes to."""
    found = read([user("Hi.")], tools=[{"type": "function"}, {"type": "function"}])
    assert (found.tools, found.chars) == (2, 3 + 2 * TOOL_CHARS)
    assert read([user("Hi.")], functions=[{"name": "f"}]).tools == 1


@pytest.mark.parametrize(
    ("more", "format_"),
    [
        ({}, "text"),
        ({"response_format": {"type": "text"}}, "text"),
        ({"response_format": {"type": "json_object"}}, "json"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "json_schema"),
        ({"guided_regex": "a+"}, "grammar"),
    ],
)
def test_the_form_of_the_answer(more: dict[str, Any], format_: str) -> None:
    """As it is asked for."""
    assert read([user("Hi.")], **more).output_format == format_


@pytest.mark.parametrize("messages", [[user(None)], [user(7)], [{"role": "assistant"}], ["x"], []])
def test_nonsense_is_no_question(messages: list[Any]) -> None:
    """What `decode_request` lets through does no harm here."""
    assert read(messages).text == ""
