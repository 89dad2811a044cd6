"""Anthropic's streams, read as if they were OpenAI's."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from streamroute.core.usage import Usage
from streamroute.wire.anthropic_messages.stream import MessagesTranslator
from streamroute.wire.translation import TranslatingDecoder
from tests.support.chat_streams import Facts, raw_events, run
from tests.support.chunking import blocks, cuts, single_bytes
from tests.support.messages_streams import Event, begin, delta, end, error, finish, start, stream, text, tool

TEXT = ["Hel", 'lo \U0001f600 \\ "x"\n']
WHOLE = [start(), {"type": "ping"}, *text(*TEXT), *tool(1, '{"a":', " 1}"), *finish("tool_use")]
HEAD = {"id": "msg_1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "claude-1"}


def decoder(*, wants_usage: bool = True) -> TranslatingDecoder:
    return TranslatingDecoder(MessagesTranslator(created=1_700_000_000), wants_usage=wants_usage)


def read(events: Iterable[Mapping[str, object]], **options: Any) -> tuple[list[dict[str, Any]], Facts]:
    """Return the chunks that clients get, without their common head, which is checked here."""
    out, facts = run(decoder(**options), [stream(list(events))])
    chunks = [orjson.loads(event.removeprefix(b"data: ")) for event in raw_events(out)]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=False)
        assert {key: chunk.pop(key) for key in HEAD} == HEAD
    return chunks, facts


def deltas(chunks: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def test_a_plain_stream() -> None:
    chunks, facts = read([start(), *text("Hel", "lo"), *finish()])
    assert [choice for chunk in chunks for choice in chunk["choices"]] == [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None},
        {"index": 0, "delta": {"content": "Hel"}, "finish_reason": None},
        {"index": 0, "delta": {"content": "lo"}, "finish_reason": None},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    assert chunks[-1] == {
        "choices": [],
        "usage": {
            "prompt_tokens": 45,
            "completion_tokens": 3,
            "total_tokens": 48,
            "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 0},
            "service_tier": "standard",
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
        },
    }
    expected = {"is_done": True, "is_whole": True, "is_empty": False, "error": None, "malformed_events": 0}
    assert {**facts, **expected, "model": "claude-1", "content_events": 2} == facts


def test_usage_is_taken_out_for_clients_that_do_not_want_it() -> None:
    chunks, facts = read([start(), *text("Hi"), *finish()], wants_usage=False)
    assert facts["has_usage"]
    assert not any("usage" in chunk for chunk in chunks)


def test_what_is_cached_is_part_of_the_prompt() -> None:
    """Anthropic's `input_tokens` leaves out what is read from and written to the cache; the counts at the end are
    cumulative, and replace those of the beginning where they are there."""
    read_all = decoder()
    run(read_all, [stream([start(), *text("Hi"), *finish(input_tokens=12, output_tokens=9,
                                                        output_tokens_details={"thinking_tokens": 4})])])  # fmt: skip
    assert read_all.usage == Usage(
        input_tokens=47,
        output_tokens=9,
        cached_input_tokens=30,
        cache_write_tokens=5,
        cache_write_1h_tokens=3,
        reasoning_tokens=4,
        tier="standard",
    )


def test_the_prompt_is_counted_at_the_beginning() -> None:
    """A stream that breaks off has its true prompt, and says nothing of an answer that nobody has counted."""
    cut = decoder()
    run(cut, [stream([start(), *text("Hel", "lo")])])
    assert cut.usage == Usage(
        input_tokens=45, cached_input_tokens=30, cache_write_tokens=5, cache_write_1h_tokens=3, tier="standard"
    )
    assert not cut.is_whole


def test_whoever_never_counts_the_answer() -> None:
    """One token a piece, as long as nothing better is known: an answer is not free."""
    uncounted = decoder()
    events = [start(), *text("Hel", "lo"), {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}]
    run(uncounted, [stream(events)])
    assert uncounted.usage is not None
    assert (uncounted.usage.input_tokens, uncounted.usage.output_tokens) == (45, 2)


def test_tool_calls() -> None:
    """Calls are counted by themselves, not with the blocks; one without input has `{}`, and all come at the end."""
    events = [
        start(),
        *text("Well."),
        *tool(1, '{"a"', ": 1}", id_="toolu_1"),
        *tool(2, id_="toolu_2"),
        *tool(3, "", '{"b": 2}', id_="toolu_3"),
        *finish("tool_use"),
    ]
    chunks, facts = read(events)
    calls: dict[int, dict[str, str]] = {}
    for said in deltas(chunks):
        for call in said.get("tool_calls", ()):
            known = calls.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
            known["id"] += call.get("id", "")
            known["name"] += call["function"].get("name", "")
            known["arguments"] += call["function"]["arguments"]
    assert calls == {
        0: {"id": "toolu_1", "name": "look", "arguments": '{"a": 1}'},
        1: {"id": "toolu_2", "name": "look", "arguments": "{}"},
        2: {"id": "toolu_3", "name": "look", "arguments": '{"b": 2}'},
    }
    assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert facts["is_whole"]


def test_half_a_tool_call_never_leaves() -> None:
    chunks, facts = read([start(), *text("Well."), *tool(1, '{"a"')[:-1]])
    assert not any("tool_calls" in said for said in deltas(chunks))
    assert not facts["is_whole"]


def test_a_call_whose_input_came_at_once() -> None:
    """Some who speak this format send no deltas."""
    chunks, _ = read([start(), begin(0, "tool_use", id="t", name="look", input={"a": 1}), end(0), *finish("tool_use")])
    arguments = [call["function"]["arguments"] for said in deltas(chunks) for call in said.get("tool_calls", ())]
    assert "".join(arguments) == '{"a":1}'


def test_thoughts_and_their_signatures() -> None:
    """Text as others write it; the signature beside the whole thought, as the next request needs it."""
    events = [
        start(),
        begin(0, "thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="Let me "),
        delta(0, "thinking_delta", thinking="see."),
        delta(0, "signature_delta", signature="c2ln"),
        end(0),
        begin(1, "redacted_thinking", data="c2VjcmV0"),
        end(1),
        *text("42", index=2),
        *finish(),
    ]
    chunks, facts = read(events)
    assert "".join(said.get("reasoning_content", "") for said in deltas(chunks)) == "Let me see."
    details = [detail for said in deltas(chunks) for detail in said.get("reasoning_details", ())]
    common = {"format": "anthropic-claude-v1"}
    assert details == [
        {"type": "reasoning.text", "text": "Let me see.", "signature": "c2ln", "index": 0, **common},
        {"type": "reasoning.encrypted", "data": "c2VjcmV0", "index": 1, **common},
    ]
    assert "".join(said.get("content") or "" for said in deltas(chunks)) == "42"
    assert facts["is_whole"]


@pytest.mark.parametrize(
    ("reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        ("something_new", "length"),
    ],
)
def test_stop_reasons(reason: str, finish_reason: str) -> None:
    chunks, _ = read([start(), *text("Hi"), *finish(reason)])
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]][-1] == finish_reason


@pytest.mark.parametrize("events", range(1, len(WHOLE) - 1))
def test_a_cut_stream_is_not_whole(events: int) -> None:
    """Wherever it ends before the stop reason, with and without a `message_stop` that does not belong there."""
    for tail in ([], [{"type": "message_stop"}]):
        _, facts = read([*WHOLE[:events], *tail])
        is_past_reason = WHOLE[events - 1]["type"] == "message_delta"
        assert facts["is_whole"] is is_past_reason


def test_a_message_delta_without_a_reason_ends_nothing() -> None:
    _, facts = read([start(), *text("Hi"), *finish(None)])
    assert (facts["is_whole"], facts["is_done"]) == (False, True)


def test_nothing_was_said() -> None:
    _, facts = read([start(), *finish()])
    assert facts["is_empty"]
    _, facts = read([start(), *finish("refusal")])
    assert not facts["is_empty"]


@pytest.mark.parametrize(
    ("type_", "kind", "status"),
    [
        ("overloaded_error", "overloaded", 529),
        ("api_error", "server_error", 500),
        ("rate_limit_error", "rate_limited", 429),
        ("timeout_error", "server_error", 504),
        ("made_up_error", "server_error", None),
    ],
)
def test_errors_within_a_stream(type_: str, kind: str, status: int | None) -> None:
    """What came before stays; nothing comes after."""
    chunks, facts = read([start(), *text("Hel"), error(type_), *text("lo", index=1), *finish()])
    assert facts["error"] == (kind, "No.", status)
    assert "".join(said.get("content") or "" for said in deltas(chunks)) == "Hel"
    assert not facts["is_whole"]


def test_an_error_in_words_of_somebody_in_between() -> None:
    _, facts = read([start(), {"type": "oops", "error": {"message": "bad gateway", "code": 502}}])
    assert facts["error"] == ("server_error", "bad gateway", 502)


def test_an_error_after_the_end_takes_nothing_away() -> None:
    _, facts = read([start(), *text("Hi"), finish()[0], error("overloaded_error")])
    assert facts["error"] is None
    assert facts["is_whole"]


def test_what_nobody_knows_is_passed_over() -> None:
    """New events, new blocks, new deltas: Anthropic says that they will come."""
    plain, _ = read([start(), *text("Hi"), *finish()])
    events = [
        start(),
        {"type": "new_event", "x": 1},
        begin(0, "server_tool_use", id="s", name="web_search", input={}),
        delta(0, "input_json_delta", partial_json='{"q": 1}'),
        end(0),
        begin(1, "web_search_tool_result", tool_use_id="s", content=[]),
        end(1),
        begin(2, "text", text="", citations=[]),
        delta(2, "citations_delta", citation={}),
        delta(2, "text_delta", text="Hi"),
        end(2),
        *finish(),
    ]
    chunks, facts = read(events)
    assert chunks == plain
    assert facts["malformed_events"] == 0


def test_malformed_events_are_counted() -> None:
    """Also the input of a call whose beginning was lost."""
    data = stream([start(), *text("Hi")])
    data += b"event: ping\ndata: {nonsense\n\ndata: [1]\n\n" + stream(tool(1, "{}")[1:]) + stream(finish())
    out, facts = run(decoder(), [data])
    assert facts["malformed_events"] == 3
    assert b"tool_calls" not in out


def test_every_byte_alone() -> None:
    data = stream(WHOLE)
    assert run(decoder(), single_bytes(data)) == run(decoder(), [data])


pieces = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6)


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = [start()]
    for index in range(draw(st.integers(0, 4))):
        said = draw(st.lists(pieces, max_size=4))
        events += text(*said, index=index) if draw(st.booleans()) else tool(index, *map(repr, said))
        events += [{"type": "ping"}] if draw(st.booleans()) else []
    events += draw(st.sampled_from([finish(), finish("tool_use"), [], [error("overloaded_error")]]))
    return events


@settings(max_examples=150, deadline=None)
@given(streams(), cuts, st.sampled_from([b"\n", b"\r\n"]))
def test_blocks_change_nothing(events: list[Event], at: list[int], newline: bytes) -> None:
    """Every way of cutting the same bytes gives the same chunks and facts."""
    data = stream(events)
    whole = run(decoder(), [data])
    assert run(decoder(), blocks(data.replace(b"\n", newline), at)) == whole
