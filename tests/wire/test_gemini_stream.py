"""Gemini's streams, read as if they were OpenAI's."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from streamroute.core.usage import Usage
from streamroute.wire.gemini.answer import translate_answer
from streamroute.wire.gemini.stream import GeminiStream
from streamroute.wire.openai_chat.answer import read_answer
from streamroute.wire.translation import TranslatingDecoder
from tests.support.chat_streams import Facts, raw_events, run
from tests.support.chunking import blocks, cuts, single_bytes
from tests.support.gemini_streams import USAGE, call, candidate, piece, stream, text


def decoder(choices: int = 1) -> TranslatingDecoder:
    translator = GeminiStream(created_s=1_700_000_000, model="gemini-flash", choices=choices)
    return TranslatingDecoder(translator, choices=choices)


def read(pieces: Iterable[object], choices: int = 1) -> tuple[list[dict[str, object]], Facts]:
    """Return the chunks that clients get, without their common head, which is checked here."""
    out, facts = run(decoder(choices), [stream(list(pieces))])
    chunks = [orjson.loads(event.removeprefix(b"data: ")) for event in raw_events(out)]
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=False)
    heads = {tuple(chunk.pop(key) for key in ("id", "object", "created", "model")) for chunk in chunks}
    assert len(heads) <= 1
    return chunks, facts


def choices(chunks: Iterable[dict[str, object]]) -> list[object]:
    return [choice for chunk in chunks for choice in chunk["choices"]]  # type: ignore[attr-defined]


def test_a_plain_stream() -> None:
    chunks, facts = read([text("Hel", usage=USAGE), text("lo"), text("!", finish="STOP", usage=USAGE)])
    assert chunks == [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"content": "!"}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {
            "choices": [],
            "usage": {
                "prompt_tokens": 7,
                "completion_tokens": 3,
                "total_tokens": 10,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        },
    ]
    expected = {"is_done": True, "is_whole": True, "is_empty": False, "error": None, "malformed_events": 0}
    assert {**facts, **expected, "model": "gemini-2.5-flash", "content_events": 3} == facts


def test_usage_is_in_the_hubs_terms() -> None:
    """Cached tokens are part of the prompt, thoughts are not part of the candidates' tokens."""
    reader = decoder()
    counted = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 80,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 155,
        "serviceTier": "STANDARD",
    }
    reader.feed(stream([text("a", finish="STOP", usage=counted)]))
    assert reader.usage == Usage(
        input_tokens=105, output_tokens=50, cached_input_tokens=80, reasoning_tokens=30, tier="standard"
    )


def test_usage_is_known_before_the_end() -> None:
    """A stream that is given up is billed, so what was counted until then counts; the client is not told."""
    reader = decoder()
    out = reader.feed(stream([text("a", usage={"promptTokenCount": 9, "thoughtsTokenCount": 4}), text("b")]))
    assert reader.usage == Usage(input_tokens=9, output_tokens=4, reasoning_tokens=4)
    out += reader.feed(stream([text("c", usage={"promptTokenCount": 9, "candidatesTokenCount": 6})]))
    assert reader.usage == Usage(input_tokens=9, output_tokens=10, reasoning_tokens=4)
    assert b"usage" not in out


def test_usage_after_the_last_finish_reason() -> None:
    late = {"usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 2}}
    chunks, facts = read([text("a", finish="STOP"), late])
    assert [chunk.get("usage", {}).get("total_tokens") for chunk in chunks] == [None, None, 10]  # type: ignore[attr-defined]
    assert facts["is_done"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
    ],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    chunks, facts = read([text("a"), piece(candidate(finish=reason))])
    assert choices(chunks)[-1] == {"index": 0, "delta": {}, "finish_reason": finish}
    assert facts["is_whole"]


@pytest.mark.parametrize("reason", ["OTHER", "LANGUAGE", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "NEW_ONE"])
def test_reasons_that_are_failures(reason: str) -> None:
    """The text before them goes on, and what follows is never taken for an end."""
    chunks, facts = read([text("a"), text("b", finish=reason), text("c", finish="STOP")])
    assert [choice["delta"]["content"] for choice in choices(chunks)] == ["a", "b"]  # type: ignore[index]
    assert not facts["is_whole"]
    assert not facts["is_done"]
    assert facts["error"] == ("server_error", f"the answer ended with the finish reason {reason}", None)


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    for pieces in ([text("a", usage=USAGE)], [text("a", finish="FINISH_REASON_UNSPECIFIED")], []):
        _, facts = read(pieces)
        assert {**facts, "is_whole": False, "is_done": False, "error": None} == facts


def test_what_comes_after_the_end_is_counted() -> None:
    """Never as if it had not been there; an end that is only said twice is none."""
    chunks, facts = read([text("a", finish="STOP"), text("", finish="STOP"), text("b", finish="STOP")])
    assert [choice["finish_reason"] for choice in choices(chunks)] == [None, "stop"]  # type: ignore[index]
    assert {**facts, "malformed_events": 1, "is_whole": True, "is_done": True} == facts


def test_one_of_two_candidates_breaks_off() -> None:
    pieces = [piece(candidate({"text": "a"}, index=0), candidate({"text": "b"}, index=1, finish="STOP"))]
    _, facts = read(pieces, choices=2)
    assert {**facts, "is_whole": False, "is_done": False} == facts


def test_several_candidates_are_choices() -> None:
    pieces = [
        piece(candidate({"text": "a"}, index=0), candidate({"text": "b"}, index=1)),
        piece(candidate({"text": "B"}, index=1, finish="MAX_TOKENS")),
        piece(candidate({"text": "A"}, index=0, finish="STOP"), usage=USAGE),
    ]
    chunks, facts = read(pieces, choices=2)
    said: dict[int, str] = {0: "", 1: ""}
    for choice in choices(chunks):
        said[choice["index"]] += choice["delta"].get("content", "") + (choice["finish_reason"] or "")  # type: ignore[index]
    assert said == {0: "aAstop", 1: "bBlength"}
    assert [bool(chunk.get("usage")) for chunk in chunks].count(True) == 1
    assert facts["is_done"]


def test_thoughts_are_reasoning() -> None:
    pieces = [
        piece(candidate({"text": "Hm.", "thought": True})),
        piece(candidate({"text": "So.", "thought": True}, {"text": "Yes"}, finish="STOP")),
    ]
    chunks, _ = read(pieces)
    deltas = [choice["delta"] for choice in choices(chunks)]  # type: ignore[index]
    assert deltas == [
        {"role": "assistant", "reasoning_content": "Hm."},
        {"reasoning_content": "So.", "content": "Yes"},
        {},
    ]


def test_tool_calls() -> None:
    """Ids are kept, or made up; signatures come in Google's own spelling; arguments are text."""
    pieces = [
        piece(candidate({**call("weather", {"city": "Zürich"}, id="fc-1"), "thoughtSignature": "c2ln"})),
        piece(candidate(call("time", {}), call("date", {"tz": "CET"}), finish="STOP"), usage=USAGE),
    ]
    chunks, facts = read(pieces)
    calls = [each for choice in choices(chunks) for each in choice["delta"].get("tool_calls", [])]  # type: ignore[index]
    assert calls == [
        {
            "index": 0,
            "id": "fc-1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city":"Zürich"}'},
            "extra_content": {"google": {"thought_signature": "c2ln"}},
        },
        {
            "index": 1,
            "id": "call_REVVabaiCdq4qts_1",
            "type": "function",
            "function": {"name": "time", "arguments": "{}"},
        },
        {
            "index": 2,
            "id": "call_REVVabaiCdq4qts_2",
            "type": "function",
            "function": {"name": "date", "arguments": '{"tz":"CET"}'},
        },
    ]
    assert choices(chunks)[-1] == {"index": 0, "delta": {}, "finish_reason": "tool_calls"}
    assert facts["is_whole"]


def test_half_of_the_calls_never_reach_a_client() -> None:
    chunks, facts = read([text("Let me see. "), piece(candidate(call("weather", {})))])
    assert [choice["delta"].get("content") for choice in choices(chunks)] == ["Let me see. "]  # type: ignore[index]
    assert not facts["is_whole"]


def test_a_signature_without_text_says_nothing() -> None:
    """It is forwarded, but an answer that has nothing else is empty."""
    chunks, facts = read([piece(candidate({"text": "", "thoughtSignature": "c2ln"}, finish="STOP"))])
    assert choices(chunks)[0] == {
        "index": 0,
        "delta": {"role": "assistant", "extra_content": {"google": {"thought_signature": "c2ln"}}},
        "finish_reason": None,
    }
    assert facts["is_empty"]


def test_a_blocked_prompt() -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    chunks, facts = read([blocked], choices=2)
    assert [choice["finish_reason"] for choice in choices(chunks)] == ["content_filter", "content_filter"]  # type: ignore[index]
    assert {**facts, "is_whole": True, "is_empty": False, "has_usage": True, "error": None} == facts


def test_log_probabilities() -> None:
    result = {
        "chosenCandidates": [{"token": "2", "logProbability": -0.5}, {"token": " +"}],
        "topCandidates": [
            {"candidates": [{"token": "2", "logProbability": -0.5}, {"token": "4", "logProbability": -4}]}
        ],
    }
    chunks, _ = read([piece(candidate({"text": "2 +"}, finish="STOP", logprobsResult=result))])
    assert choices(chunks)[0]["logprobs"] == {  # type: ignore[index]
        "content": [
            {
                "token": "2",
                "logprob": -0.5,
                "bytes": None,
                "top_logprobs": [
                    {"token": "2", "logprob": -0.5, "bytes": None},
                    {"token": "4", "logprob": -4, "bytes": None},
                ],
            },
            {"token": " +", "logprob": 0.0, "bytes": None, "top_logprobs": []},
        ],
        "refusal": None,
    }


def test_pictures() -> None:
    chunks, _ = read([piece(candidate({"inlineData": {"mimeType": "image/png", "data": "aGk="}}, finish="STOP"))])
    assert choices(chunks)[0]["delta"]["images"] == [  # type: ignore[index]
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    ]


@pytest.mark.parametrize(
    "nonsense",
    [[1], "x", {}, {"candidates": "x"}, {"candidates": ["x"]}, {"candidates": [{"content": "x"}]}, {"foo": 1}],
)
def test_nonsense_is_counted_and_left_out(nonsense: object) -> None:
    chunks, facts = read([text("a"), nonsense, text("b", finish="STOP")])
    assert "".join(choice["delta"].get("content", "") for choice in choices(chunks)) == "ab"  # type: ignore[index]
    assert {**facts, "malformed_events": 1, "is_whole": True} == facts


def test_parts_that_nobody_can_read_do_not_take_the_rest_with_them() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    chunks, facts = read([piece(candidate({"text": "a"}, code, 3, {"text": "b"}, finish="STOP"))])  # type: ignore[arg-type]
    assert choices(chunks)[0]["delta"]["content"] == "ab"  # type: ignore[index]
    assert facts["malformed_events"] == 1


def test_broken_json_is_counted() -> None:
    data = stream([text("a")]) + b'data: {"candidates": [\r\n\r\n' + stream([text("b", finish="STOP")])
    _, facts = run(decoder(), [data])
    assert {**facts, "malformed_events": 1, "is_whole": True} == facts


def test_an_error_within_the_stream() -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    chunks, facts = read([text("a"), error, text("b", finish="STOP")])
    assert [choice["delta"]["content"] for choice in choices(chunks)] == ["a"]  # type: ignore[index]
    assert {**facts, "error": ("overloaded", "The model is overloaded.", 503), "is_whole": False} == facts


words = st.sampled_from(["Hello", " ", "grüße 🦊", '"quoted"', "\n", "data: ", "\\", "\u2028", ""]) | st.text(
    max_size=9
)
parts = st.one_of(
    words.map(lambda word: {"text": word}),
    words.map(lambda word: {"text": word, "thought": True}),
    words.map(lambda word: call("f", {"a": word})),
    st.just({"text": "", "thoughtSignature": "c2ln"}),
    st.just({"executableCode": {}}),
)
finishes = st.sampled_from([None, None, None, "STOP", "MAX_TOKENS", "OTHER"])
candidates = st.builds(
    lambda some, finish, index: candidate(*some, finish=finish, index=index),
    st.lists(parts, max_size=3),
    finishes,
    st.sampled_from([None, 0, 1]),
)
events = st.one_of(
    st.builds(
        lambda some, usage: piece(*some, usage=usage), st.lists(candidates, max_size=2), st.sampled_from([None, USAGE])
    ),
    st.just({"error": {"code": 500, "message": "x", "status": "INTERNAL"}}),
    st.just([1]),
)


@settings(max_examples=60)
@given(some=st.lists(events, max_size=6), at=cuts, newline=st.sampled_from(["\r\n", "\n"]), asked=st.integers(1, 2))
def test_blocks_change_nothing(some: list[object], at: list[int], newline: str, asked: int) -> None:
    """Every way of cutting a stream gives the same chunks and the same facts."""
    data = stream(some, newline=newline)
    whole = run(decoder(asked), [data])
    assert run(decoder(asked), blocks(data, at)) == whole
    assert run(decoder(asked), single_bytes(data)) == whole


@settings(max_examples=60)
@given(some=st.lists(events, max_size=6), at=st.integers(0, 1 << 16), asked=st.integers(1, 2))
def test_no_prefix_looks_whole_that_is_not(some: list[object], at: int, asked: int) -> None:
    """A stream that is cut has its end only where every candidate that was asked for had a finish reason."""
    data = stream(some)
    cut = data[: at % (len(data) + 1)]
    _, facts = run(decoder(asked), [cut])
    ended = sum(b'"finishReason": "STOP"' in event or b'"finishReason": "MAX' in event for event in raw_events(cut))
    assert not facts["is_done"] or (ended and facts["is_whole"])


GOOD: list[dict[str, Any]] = [
    piece(
        candidate(
            {"text": "a", "thought": True},
            {"text": "b", "thoughtSignature": "c2ln"},
            {**call("f", {"a": [1]}, id="c"), "thoughtSignature": "c2ln"},
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
            finish="STOP",
            index=0,
            finishMessage="m",
            logprobsResult={
                "chosenCandidates": [{"token": "b", "logProbability": -1.5}],
                "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
            },
        ),
        usage={**USAGE, "thoughtsTokenCount": 2, "cachedContentTokenCount": 1, "serviceTier": "FLEX"},
    ),
    {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": USAGE},
    {"error": {"code": 503, "status": "UNAVAILABLE", "message": "m", "details": [{"retryDelay": "1s"}]}},
]
"""Everything that a provider may say, in its place."""
nonsense = st.sampled_from([None, True, -1, 0, 1.5, 2**70, "", "x", "\ud83d", [], [None], [[]], {}, {"text": 1}])


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """List where in a payload something stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def with_nonsense(value: Any, path: Sequence[str | int], other: object) -> Any:
    """Return a payload with something else at one place."""
    if not path:
        return other
    copied = value.copy()
    copied[path[0]] = with_nonsense(value[path[0]], path[1:], other)
    return copied


damaged = st.sampled_from([(good, place) for good in GOOD for place in places(good)]).flatmap(
    lambda chosen: nonsense.map(lambda other: with_nonsense(*chosen, other))
)


@settings(max_examples=400)
@given(some=st.lists(damaged | st.sampled_from(GOOD), min_size=1, max_size=3), asked=st.integers(1, 2))
def test_nothing_that_is_sent_breaks_it(some: list[object], asked: int) -> None:
    """Whatever stands in whatever place is read, counted or left out; what comes of it clients can read."""
    out, facts = run(decoder(asked), [stream(some, is_ascii=True)])
    for event in raw_events(out):
        if event != b"data: [DONE]":
            ChatCompletionChunk.model_validate(json.loads(event.removeprefix(b"data: ")))
    assert not facts["is_done"] or facts["is_whole"]
    for payload in some:
        answer = translate_answer(json.dumps(payload).encode(), created_s=1_700_000_000, model="gemini-flash")
        if isinstance(answer, bytes):
            read_answer(answer)
            ChatCompletion.model_validate(json.loads(answer))
