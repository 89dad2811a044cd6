"""What the client has."""

import pytest

from streamroute.wire.openai_chat.transcript import MAX_TRANSCRIPT_BYTES, Delivered, Transcript
from tests.support.chat_streams import chunk, event, no_choices, stream, text


def read(*blocks: bytes) -> Delivered:
    transcript = Transcript()
    for block in blocks:
        transcript.append(block)
    return transcript.read()


def test_text_and_envelope() -> None:
    """The text of choice 0, its tokens, and the head that later chunks must keep."""
    found = read(stream(chunk({"role": "assistant", "content": ""}), text("Grü")), stream(text("ße"), no_choices()))
    assert (found.text, found.tokens, found.id, found.created) == ("Grüße", 2, "chatcmpl-1", 1_700_000_000)
    assert (found.model, found.role_sent, found.why_not) == ("small-1", True, None)


def test_reading_twice() -> None:
    """What came since the last time is added."""
    transcript = Transcript()
    transcript.append(event(text("a")))
    assert transcript.read().text == "a"
    transcript.append(event(text("b")))
    assert (transcript.read().text, transcript.read().tokens) == ("ab", 2)


def test_thoughts_alone_can_be_continued() -> None:
    """Thoughts are counted, and are no text."""
    found = read(event(chunk({"reasoning_content": "Hmm"})))
    assert (found.text, found.reasoning_chars, found.why_not) == ("", 3, None)


@pytest.mark.parametrize(
    ("payload", "why_not"),
    [
        (chunk({"tool_calls": [{"index": 0}]}), "tool calls"),
        (chunk({"function_call": {"name": "f"}}), "tool calls"),
        (text("b", index=1), "several choices"),
        (chunk({"refusal": "No."}), "`refusal`"),
        (chunk(finish="length"), "the answer had its finish reason"),
        ({"choices": [{"delta": {"content": "a"}, "logprobs": {"content": []}}]}, "log probabilities"),
        ({"choices": [1]}, "the answer cannot be decoded"),
        ([], "the answer cannot be decoded"),
    ],
)
def test_what_cannot_be_continued(payload: object, why_not: str) -> None:
    """Each reason has its words."""
    transcript = Transcript()
    transcript.append(stream(text("a"), payload))
    assert transcript.read().why_not == why_not


def test_too_long() -> None:
    """Memory is bounded."""
    transcript = Transcript()
    transcript.append(event(text("x" * MAX_TRANSCRIPT_BYTES)))
    assert not transcript.is_kept
    assert transcript.read().why_not == "the answer is too long to be carried on"


def test_emojis_in_two_halves() -> None:
    """Halves in two chunks are one character; half a one at the end cannot be continued."""
    halves = [rb'data: {"choices":[{"delta":{"content":"%b"}}]}' % half + b"\n\n" for half in (rb"\ud83d", rb"\ude00")]
    assert (read(*halves).text, read(*halves).why_not) == ("😀", None)
    assert read(halves[0]).why_not == "the text ends within a character"


def test_joints_and_restarts() -> None:
    """A joint's comment is remembered; a restart begins the text anew."""
    comment = b': streamroute {"rung":"restart","upstream":"b","at_token":1}\n\n'
    marker = chunk({"content": ""}, streamroute={"restart": True})
    found = read(event(text("a")), comment + stream(marker, text("b")))
    assert (found.text, found.tokens) == ("b", 1)
    assert found.continuations == ({"rung": "restart", "upstream": "b", "at_token": 1},)
