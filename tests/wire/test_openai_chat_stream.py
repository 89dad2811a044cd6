"""Reading a stream of chunks."""

import pytest

from streamroute.core.usage import Usage
from streamroute.wire.openai_chat.stream import ChatStreamDecoder
from tests.support.chat_streams import DONE, USAGE, chunk, event, loads, no_choices, raw_events, run, stream, text
from tests.support.chunking import single_bytes

HELLO = (chunk({"role": "assistant", "content": ""}), text("Hel"), text("lo"), chunk(finish="stop"))


def test_a_plain_stream_is_forwarded_as_it_came() -> None:
    """Chunks leave byte for byte; `[DONE]` does not, because only the server knows that the answer is whole."""
    out, facts = run(ChatStreamDecoder(), [stream(*HELLO, DONE)])
    assert out == stream(*HELLO)
    assert facts == {
        "content_events": 2,
        "is_done": True,
        "error": None,
        "has_usage": False,
        "model": "small-1",
        "malformed_events": 0,
        "is_whole": True,
        "is_empty": False,
    }


def test_facts_are_known_as_soon_as_their_event_is() -> None:
    """The first content and the finish reason count at the byte that completes their event, not later."""
    decoder = ChatStreamDecoder()
    for part, content_events, is_whole in ((HELLO[0], 0, False), (HELLO[1], 1, False), (HELLO[3], 1, True)):
        decoder.feed(event(part)[:-1])
        decoder.feed(b"\n")
        assert (decoder.content_events, decoder.is_whole) == (content_events, is_whole)


def test_usage_is_kept_for_clients_that_asked() -> None:
    """The usage chunk travels on, and its figures are known."""
    decoder = ChatStreamDecoder(wants_usage=True)
    data = stream(*HELLO, no_choices(usage=USAGE))
    assert run(decoder, [data, event(DONE)])[0] == data
    assert decoder.usage == Usage(input_tokens=7, output_tokens=3)


def test_usage_is_taken_out_for_clients_that_did_not_ask() -> None:
    """A chunk that has nothing else goes; one with choices stays, all other fields kept."""
    decoder = ChatStreamDecoder(wants_usage=False)
    last = chunk(finish="stop", usage=USAGE, x_future={"a": [1, None]})
    out, _ = run(decoder, [stream(text("Hi"), last, no_choices(usage=USAGE), DONE)])
    del last["usage"]
    assert out == stream(text("Hi"), last)
    assert decoder.usage == Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize("usage", [None, {}, 0, "x"])
@pytest.mark.parametrize("wants_usage", [True, False])
def test_usage_that_says_nothing(usage: object, wants_usage: bool) -> None:
    """`usage: null`, which OpenAI puts on every other chunk, is for those who asked."""
    data = stream(text("Hi", usage=usage), text(" there", usage=usage))
    out, _ = run(ChatStreamDecoder(wants_usage=wants_usage), [data])
    is_kept = wants_usage or usage is not None
    assert out == (data if is_kept else stream(text("Hi"), text(" there")))


def test_usage_without_choices_is_read_and_not_forwarded() -> None:
    """Clients iterate over `choices`: an event without them is for us alone."""
    decoder = ChatStreamDecoder()
    out, facts = run(decoder, [stream(*HELLO, {"usage": USAGE})])
    assert out == stream(*HELLO)
    assert (decoder.usage, facts["malformed_events"]) == (Usage(input_tokens=7, output_tokens=3), 0)


@pytest.mark.parametrize("depth", [300, 900])
def test_usage_in_a_chunk_that_is_nested_deeply(depth: int) -> None:
    """Text is never lost for the sake of taking usage out."""
    nested: list[object] = []
    for _ in range(depth):
        nested = [nested]
    data = stream(text("Hi", usage=USAGE, x=nested))
    (found,) = raw_events(run(ChatStreamDecoder(wants_usage=False), [data])[0])
    payload = loads(found.removeprefix(b"data: "))
    assert isinstance(payload, dict)
    assert payload["choices"][0]["delta"]["content"] == "Hi"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b'data: {"error": {"message": "boom", "code": 502}}', "server_error"),
        (b'data: {"error": {"message": "slow down", "code": 429}}', "rate_limited"),
        (b'data: {"error": {"message": "too long", "code": "context_length_exceeded"}}', "context_length_exceeded"),
        (b'data: {"error": "boom"}', "server_error"),
        (b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}', "overloaded"),
        (b'event: error\ndata: {"message": "boom"}', "server_error"),
        (
            (
                b'data: {"error": {"code": 502, "message": "boom"}, "choices": [{"index": 0, "delta": {"content": ""},'
                b' "finish_reason": "error"}]}'
            ),
            "server_error",
        ),
        (
            (
                b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "error",'
                b' "error": {"code": 429, "message": "boom"}}]}'
            ),
            "rate_limited",
        ),
        (b'data: {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}', "server_error"),
    ],
)
def test_errors_within_a_stream(raw: bytes, kind: str) -> None:
    """An error object, an event named `error` and the finish reason `error` end the stream and are not forwarded."""
    decoder = ChatStreamDecoder()
    out, facts = run(decoder, [stream(text("Hi")), raw + b"\n\n", stream(text("late"), DONE)])
    assert out == stream(text("Hi"))
    assert decoder.error is not None
    assert decoder.error.kind == kind
    assert facts["is_done"] is False


def test_all_choices_must_finish() -> None:
    """With `n` > 1 a stream is whole when each choice has had its finish reason."""
    decoder = ChatStreamDecoder(choices=2)
    decoder.feed(stream(text("a"), text("b", index=1), chunk(finish="stop")))
    assert not decoder.is_whole
    decoder.feed(stream(chunk(finish="stop")))
    assert not decoder.is_whole
    decoder.feed(stream(chunk(finish="length", index=1)))
    assert decoder.is_whole


def test_parallel_tool_calls() -> None:
    """Fragments of tool calls are progress and travel as they came."""
    calls = [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a":'}},
        {"index": 1, "function": {"arguments": '"}"'}},
    ]
    data = stream(*(chunk({"tool_calls": [call]}) for call in calls), chunk(finish="tool_calls"))
    out, facts = run(ChatStreamDecoder(), [data, event(DONE)])
    assert out == data
    assert (facts["content_events"], facts["is_whole"], facts["is_empty"]) == (4, True, False)


def test_azure_begins_without_choices() -> None:
    """The chunk with the prompt's filter verdicts is forwarded and is no progress."""
    first = {**no_choices(), "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]}
    data = stream(first, *HELLO)
    out, facts = run(ChatStreamDecoder(), [data, event(DONE)])
    assert out == data
    assert (facts["content_events"], facts["malformed_events"]) == (2, 0)


def test_openrouter_waits_in_comments_and_finishes_twice() -> None:
    """Comments are neither forwarded nor progress; a second finish reason of the same choice changes nothing."""
    waiting = b": OPENROUTER PROCESSING\n\n" * 5
    data = stream(text("Hi"), chunk(finish="stop"), chunk({"role": "assistant", "content": ""}, finish="stop"))
    decoder = ChatStreamDecoder()
    assert decoder.feed(waiting) == b""
    assert decoder.content_events == 0
    out, facts = run(decoder, [data, event(DONE)])
    assert out == data
    assert (facts["is_whole"], facts["malformed_events"]) == (True, 0)


def test_a_missing_done_is_no_failure() -> None:
    """A finish reason makes a stream whole, also when the last empty line is missing."""
    out, facts = run(ChatStreamDecoder(), [stream(*HELLO).removesuffix(b"\n\n")])
    assert out == stream(*HELLO)
    assert (facts["is_whole"], facts["is_done"]) == (True, False)


def test_a_missing_finish_reason_is_a_cut() -> None:
    """Neither `[DONE]` nor the end of the stream makes an answer whole, unless the provider sends no reasons at all."""
    data = stream(text("Hi"), text("!"))
    assert run(ChatStreamDecoder(), [data, event(DONE)])[1]["is_whole"] is False
    assert run(ChatStreamDecoder(), [data])[1]["is_whole"] is False
    assert run(ChatStreamDecoder(finish_reason_optional=True), [data, event(DONE)])[1]["is_whole"] is True
    assert run(ChatStreamDecoder(finish_reason_optional=True), [data])[1]["is_whole"] is False


@pytest.mark.parametrize(
    ("payloads", "is_empty"),
    [
        ((), True),
        ((DONE,), True),
        ((chunk({"role": "assistant", "content": ""}), chunk(finish="stop")), True),
        ((chunk({"content": None, "tool_calls": []}, finish="stop"),), True),
        ((chunk(finish="length"),), False),
        ((chunk(finish="content_filter"),), False),
        ((chunk(finish="tool_calls"),), False),
        ((chunk({"refusal": "No."}), chunk(finish="stop")), False),
        ((chunk({"reasoning_content": "Hm."}), chunk(finish="stop")), False),
        ((chunk({"audio": {"data": "AA=="}}), chunk(finish="stop")), False),
        ((text(" "), chunk(finish="stop")), False),
    ],
)
def test_empty_answers(payloads: tuple[object, ...], is_empty: bool) -> None:
    """A model that stops without a word is empty; one that a limit or a filter stopped, or that refuses, is not."""
    assert run(ChatStreamDecoder(), [stream(*payloads)])[1]["is_empty"] is is_empty


@pytest.mark.parametrize(
    "raw",
    [
        b"data: {",
        b"data: null",
        b"data: []",
        b"data: text",
        b"data: {}",
        b'data: {"choices": null}',
        b'data: {"choices": {}}',
        b'data: {"choices": [1]}',
        b'data: {"choices": [{"delta": "x"}]}',
        b'data: {"choices": [{"delta": []}]}',
        b'data: {"choices": [], "x": NaN}',
        b'data: {"choices": [{"delta": {"content": "\xff"}}]}',
        b'data: {"choices": [{"delta": {"content": "\x01"}}]}',
        event(text("Hi")).strip()[:-1],
        event(text("Hi")).strip() + b"}",
        event(text("Hi")).strip().replace(b"Hi", b'H"i'),
        event(text("Hi")).strip().replace(b"Hi", b"Hi\\"),
        event(text("Hi")).strip().replace(b"Hi", b"H\x01"),
        event(text("Hi")).strip().replace(b"Hi", b"H\x1f"),
        event(text("Hi")).strip().replace(b"Hi", b"H\t"),
        event(text("Hi")).strip().replace(b"Hi", b"H\xff"),
        event(text("Hi")).strip().replace(b"Hi", b"H\xc3"),
    ],
)
def test_malformed_events_are_dropped_and_counted(raw: bytes) -> None:
    """No client is given an event it cannot read, also not once the stream's envelope is known."""
    before, after = stream(text("One"), text("two")), stream(text("three"), chunk(finish="stop"))
    for blocks in ([before, raw + b"\n\n", after], single_bytes(before + raw + b"\n\n" + after)):
        out, facts = run(ChatStreamDecoder(), blocks)
        assert out == before + after
        assert (facts["malformed_events"], facts["is_whole"]) == (1, True)


def test_an_event_cut_by_the_end_is_dropped() -> None:
    """Half an event at the end of a broken connection never reaches the client."""
    whole = stream(text("One"), text("two"))
    for end in range(1, len(event(text("x"))) - 3):
        out, _ = run(ChatStreamDecoder(), [whole + event(text("x"))[:end]])
        assert out == whole


def test_nothing_is_read_after_the_end() -> None:
    """After `[DONE]` whatever comes is ignored, in the same block or later."""
    tail = stream(text("late")) + b"data: {\n\n"
    out, facts = run(ChatStreamDecoder(), [stream(*HELLO, DONE) + tail, tail])
    assert out == stream(*HELLO)
    assert facts["malformed_events"] == 0


def test_several_lines_of_data_are_one_chunk() -> None:
    """A chunk that is spread over lines, or beside an event name or a comment, leaves as one line of data."""
    raw = event(text("Hi"), is_compact=False).replace(b'"choices"', b'\ndata: "choices"')
    raw = b"\x80\nevent: message\n" + raw
    out, facts = run(ChatStreamDecoder(), [raw])
    assert out.startswith(b"data: {")
    assert loads(out.removeprefix(b"data: ")) == text("Hi")
    assert (facts["content_events"], facts["malformed_events"]) == (1, 0)


def test_an_oversized_event_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been a picture: without it the answer would only look whole."""
    monkeypatch.setattr("streamroute.wire.sse.MAX_EVENT_BYTES", 1000)
    decoder = ChatStreamDecoder()
    for block in (stream(text("a")), stream(text("é" * 2000)), stream(*HELLO)):
        decoder.feed(block)
    assert decoder.error is not None
    assert decoder.error.kind == "malformed"


@pytest.mark.parametrize("reason", ["insufficient_system_resource", "abort"])
def test_silence_that_nothing_explains(reason: str) -> None:
    """A finish reason that is no reason for silence does not make an answer of it."""
    decoder = ChatStreamDecoder()
    decoder.feed(stream(chunk(finish=reason), DONE))
    assert decoder.is_whole
    assert decoder.is_empty


def test_half_an_emoji_is_text() -> None:
    """A surrogate pair split between two chunks is JSON, and dropping a half would lose text."""
    halves = [
        rb'data: {"choices":[{"index":0,"delta":{"content":"\ud83d"}}]}',
        rb'data: {"choices":[{"index":0,"delta":{"content":"\ude00"}}]}',
    ]
    decoder = ChatStreamDecoder()
    out = decoder.feed(b"\n\n".join(halves) + b"\n\n")
    assert out == b"\n\n".join(halves) + b"\n\n"
    assert (decoder.content_events, decoder.malformed_events) == (2, 0)


def test_an_error_after_the_finish_reason_takes_nothing_away() -> None:
    """OpenRouter sends `finish_reason: length`, then an error that explains it: the answer is whole."""
    decoder = ChatStreamDecoder()
    decoder.feed(b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"length"}]}\n\n')
    assert decoder.feed(b'data: {"error":{"code":400,"message":"Token limit reached"},"choices":[]}\n\n') == b""
    assert decoder.error is None
    assert decoder.is_whole
