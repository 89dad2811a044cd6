"""`usage.cost`: put into an answer that is otherwise left as it came."""

import json

import pytest

from streamroute.core.usage import Usage
from streamroute.wire.openai_chat.cost import with_cost, with_cost_event
from streamroute.wire.openai_chat.stream import ChatStreamDecoder

TEXT = b'{ "x": 1.0, "choices": [{"message": {"content": "say \\"usage\\":{\\"a"}}], "usage" : { "prompt_tokens":9} }'


def test_nothing_else_of_the_text_changes() -> None:
    """The digits are put where they belong: numbers and spaces stay as the provider wrote them."""
    expected = TEXT.replace(b'"usage" : {', b'"usage" : {"cost":0.0000131,')
    assert with_cost(TEXT, "0.0000131") == expected
    assert json.loads(expected)["usage"] == {"cost": 0.0000131, "prompt_tokens": 9}


def test_an_unknown_cost_is_not_told() -> None:
    """Neither as zero nor as null: the answer stays as it is."""
    assert with_cost(TEXT, None) == TEXT
    assert with_cost_event(b"data: {}", None) == b"data: {}"


@pytest.mark.parametrize(
    ("data", "cost", "expected"),
    [
        (b'{"usage":{"cost":9,"n":1}}', "0.5", {"usage": {"cost": 0.5, "n": 1}}),
        (b'{"usage":{"cost":9}}', None, {"usage": {"cost": 9}}),
        (b'{"x":{"usage":{"n":2}},"usage":{"n":1}}', "0.5", {"x": {"usage": {"n": 2}}, "usage": {"n": 1, "cost": 0.5}}),
        (b'{"x":{"usage":{"n":2}}}', "0.5", {"x": {"usage": {"n": 2}}}),
        (b'{"usage":{}}', "0.5", {"usage": {}}),
        (b'{"usage":null}', "0.5", {"usage": None}),
        (b"[1]", "0.5", [1]),
    ],
)
def test_only_the_usage_of_the_answer_is_meant(data: bytes, cost: str | None, expected: object) -> None:
    """A provider's own cost gives way to ours where we know it; what has no usage stays as it is."""
    assert json.loads(with_cost(data, cost)) == expected


def test_what_only_the_tolerant_reader_reads_is_not_lost() -> None:
    """Half a surrogate pair cannot be written again by everyone: the text comes before the cost."""
    data = b'{"t":"\\ud83d","usage":{"cost":1}}'
    assert with_cost(data, "2") == data
    assert with_cost(b"{", "2") == b"{"


def test_a_stream_tells_it_where_usage_was_asked_for() -> None:
    """In the event that has the usage; `null` on the others stays."""
    head, usage = b'data: {"choices":[],"usage":null}', b'data:{"choices":[],"usage":{"prompt_tokens":3}}'
    decoder = ChatStreamDecoder(cost_of=lambda usage: f"0.{usage.input_tokens}")
    out = decoder.feed(head + b"\n\n" + usage + b"\n\n")
    assert out == head + b'\n\ndata: {"choices":[],"usage":{"cost":0.3,"prompt_tokens":3}}\n\n'
    silent = ChatStreamDecoder(wants_usage=False, cost_of=lambda _: "1")
    assert silent.feed(usage + b"\n\n") == b""
    assert with_cost_event(b"data: {}", "1") == b"data: {}"


def test_one_hour_cache_writes_are_read() -> None:
    """As Anthropic reports them."""
    decoder = ChatStreamDecoder()
    decoder.feed(
        b'data: {"choices":[],"usage":{"prompt_tokens":9,"cache_creation_input_tokens":5,'
        b'"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":3}}}\n\n'
    )
    assert decoder.usage == Usage(input_tokens=9, cache_write_tokens=5, cache_write_1h_tokens=3)
