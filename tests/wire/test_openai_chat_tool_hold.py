"""Tool calls leave a stream whole or not at all."""

import pytest

from streamroute.wire.openai_chat.stream import ChatStreamDecoder
from tests.support.chat_streams import DONE, chunk, event, run, stream, text
from tests.support.chunking import single_bytes

CALL = (
    chunk({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
)
END = chunk(finish="tool_calls")


def test_a_call_leaves_with_its_finish_reason() -> None:
    """Until then it is progress, and no content that would commit us."""
    decoder = ChatStreamDecoder()
    for at, part in enumerate(CALL, start=1):
        assert decoder.feed(event(part)) == b""
        assert (decoder.content_events, decoder.progress_events) == (0, at)
    assert decoder.feed(event(END)) == stream(*CALL, END)
    assert (decoder.content_events, decoder.progress_events, decoder.is_whole) == (3, 3, True)


def test_text_before_a_call_flows() -> None:
    """A cut within a call leaves the client with the text alone."""
    decoder = ChatStreamDecoder()
    assert decoder.feed(stream(text("Let me see."), *CALL[:2])) == stream(text("Let me see."))
    assert decoder.feed(event(text("late"))) == b""
    assert decoder.close() == b""
    assert (decoder.content_events, decoder.progress_events, decoder.is_whole) == (1, 4, False)


def test_blocks_do_not_matter() -> None:
    """However the bytes are cut, the same leaves."""
    data = stream(text("a"), text("b"), *CALL, END, DONE)
    whole = run(ChatStreamDecoder(), [data])
    assert whole[0] == stream(text("a"), text("b"), *CALL, END)
    assert run(ChatStreamDecoder(), single_bytes(data)) == whole


def test_every_choice_must_finish() -> None:
    """With two choices the first one's end is not enough."""
    decoder = ChatStreamDecoder(choices=2)
    assert decoder.feed(stream(*CALL, END, text("x", index=1))) == b""
    assert decoder.feed(event(chunk(finish="stop", index=1))).count(b"data: ") == 6


def test_large_calls_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: past the limit calls flow, and the answer cannot be rescued any more."""
    monkeypatch.setattr("streamroute.wire.openai_chat.stream.MAX_HELD_TOOL_BYTES", 300)
    decoder = ChatStreamDecoder()
    assert decoder.feed(event(CALL[0])) == b""
    assert decoder.is_rescuable
    assert decoder.feed(event(CALL[1])) == stream(*CALL[:2])
    assert decoder.feed(event(CALL[2])) == event(CALL[2])
    assert (decoder.content_events, decoder.is_rescuable) == (3, False)


def test_no_holding() -> None:
    """On demand calls flow as they come."""
    assert ChatStreamDecoder(hold_tool_calls=False).feed(event(CALL[0])) == event(CALL[0])


def test_providers_without_finish_reasons() -> None:
    """There `[DONE]` lets a call go, at the latest when the stream is closed."""
    out, facts = run(ChatStreamDecoder(finish_reason_optional=True), [stream(*CALL, DONE)])
    assert (out, facts["content_events"]) == (stream(*CALL), 3)
