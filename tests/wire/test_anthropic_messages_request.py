"""Requests in Anthropic's format: what is translated, what is left out, and what cannot be asked."""

from collections import Counter
from itertools import pairwise
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter

from streamroute.wire.anthropic_messages.request import EncodeOptions, Reasoning, Sampling, encode_request
from streamroute.wire.openai_chat.request import decode_request
from streamroute.wire.translation import UntranslatableError
from tests.support.corpus import recorded_chats

PIXEL = "iVBORw0KGgo="
LOOK = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}}}
USER = {"role": "user", "content": "Hi"}


def encode(*, sampling: Sampling = "forward", reasoning: Reasoning = "effort", **body: Any) -> dict[str, Any]:
    """Return what is sent for a client's body."""
    payload = {"model": "chat", "messages": [USER], **body}
    options = EncodeOptions(default_max_tokens=32_000, sampling=sampling, reasoning=reasoning)
    return encode_request(decode_request(orjson.dumps(payload)), model="claude-1", options=options)


def blocks_of(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    turns: list[dict[str, Any]] = encode(messages=list(messages))["messages"]
    return turns


def why_not(**body: Any) -> str:
    with pytest.raises(UntranslatableError) as refused:
        encode(**body)
    return refused.value.message


def test_the_least() -> None:
    assert encode() == {
        "model": "claude-1",
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }


def test_the_usual() -> None:
    sent = encode(
        stream=True, stream_options={"include_usage": True}, max_tokens=7, max_completion_tokens=9, temperature=0.5,
        top_p=0.9, stop="END", user="u1", service_tier="default", seed=3, store=False,
    )  # fmt: skip
    del sent["messages"]
    assert sent == {
        "model": "claude-1",
        "max_tokens": 9,
        "stream": True,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "service_tier": "standard_only",
    }


def test_system_messages_are_gathered() -> None:
    """In order, with what they say of caching."""
    marked = [{"type": "text", "text": "Rules.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    sent = encode(
        messages=[
            {"role": "system", "content": marked},
            USER,
            {"role": "developer", "content": "More."},
            {"role": "assistant", "content": "Hello"},
        ]
    )
    assert sent["system"] == [*marked, {"type": "text", "text": "More."}]
    assert [turn["role"] for turn in sent["messages"]] == ["user", "assistant"]


def test_a_tool_loop() -> None:
    """Calls and results become blocks; the results of one turn are one turn, and what the user adds joins it."""
    calls = [
        {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "x"}'}},
        {"id": "call_2", "type": "function", "function": {"name": "look", "arguments": ""}},
    ]
    turns = blocks_of(
        USER,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "nothing"}]},
        {"role": "user", "content": "And?"},
    )
    assert turns[1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "call_1", "name": "look", "input": {"at": "x"}},
                {"type": "tool_use", "id": "call_2", "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "seen"}]},
                {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "nothing"}]},
                {"type": "text", "text": "And?"},
            ],
        },
    ]


def test_ids_of_others_are_made_fit() -> None:
    """Kimi's `functions.look:0` is no id for Anthropic; the call and its result still belong together."""

    def ids(given: str) -> tuple[str, str]:
        call = {"id": given, "type": "function", "function": {"name": "look", "arguments": "{}"}}
        turns = blocks_of(
            USER,
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": given, "content": "x"},
        )
        return turns[1]["content"][0]["id"], turns[2]["content"][0]["tool_use_id"]

    first, second = ids("functions.look:0"), ids("functions:look.0")
    assert first[0] == first[1] != second[0] == second[1]
    assert all(each.replace("_", "").replace("-", "").isalnum() and len(each) <= 64 for each in (*first, *second))


def test_thoughts_go_back() -> None:
    """Those that Anthropic has signed, first in the turn; others' stay here."""
    details = [
        {"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "eHl6", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.text", "text": "Not signed.", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "b3BlbmFp", "format": "openai-responses-v1"},
    ]
    turns = blocks_of(USER, {"role": "assistant", "content": "So.", "reasoning_content": "Hm.",
                             "reasoning_details": details})  # fmt: skip
    assert turns[1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eHl6"},
        {"type": "text", "text": "So."},
    ]


def test_pictures_and_documents() -> None:
    pdf = {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PIXEL}"}}
    own = {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}, "title": "t"}
    mark = {"type": "ephemeral"}
    [turn] = blocks_of(
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}, "cache_control": mark},
                pdf,
                own,
                {"type": "text", "text": ""},
            ],
        }
    )
    assert turn["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}, "cache_control": mark},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PIXEL}},
        own,
    ]


@pytest.mark.parametrize(
    ("body", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "look"}}}, {"type": "tool", "name": "look"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
    ],
)
def test_tool_choice(body: dict[str, Any], choice: object) -> None:
    sent = encode(tools=[LOOK], **body)
    assert sent.get("tool_choice") == choice
    assert sent["tools"] == [{"name": "look", "description": "Look.", "input_schema": {"type": "object"}}]


def test_tools_with_less_and_more() -> None:
    bare = {"type": "function", "function": {"name": "bare"}}
    strict = {"type": "function", "function": {"name": "s", "strict": True, "parameters": {"type": "object"}},
              "cache_control": {"type": "ephemeral"}}  # fmt: skip
    assert encode(tools=[bare, strict])["tools"] == [
        {"name": "bare", "input_schema": {"type": "object"}},
        {"name": "s", "input_schema": {"type": "object"}, "strict": True, "cache_control": {"type": "ephemeral"}},
    ]


def test_schemas() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    sent = encode(response_format=wanted, reasoning_effort="low")
    assert sent["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    assert "output_config" not in encode(response_format={"type": "text"})


@pytest.mark.parametrize(
    ("how", "temperature", "sent"),
    [("forward", 0.0, 0.0), ("forward", 1.7, 1), ("drop", 0.3, None), ("refuse", 1, None), ("refuse", None, None)],
)
def test_sampling(how: Sampling, temperature: float | None, sent: float | None) -> None:
    """Anthropic's temperatures end at 1; newer models take none."""
    assert encode(sampling=how, temperature=temperature).get("temperature") == sent


def test_sampling_is_refused_where_it_means_something() -> None:
    with pytest.raises(UntranslatableError, match="`top_p`"):
        encode(sampling="refuse", temperature=1.0, top_p=0.5)


@pytest.mark.parametrize(
    ("how", "body", "sent"),
    [
        ("effort", {"reasoning_effort": "minimal"}, ({"type": "adaptive"}, {"effort": "low"})),
        ("effort", {"reasoning_effort": "xhigh"}, ({"type": "adaptive"}, {"effort": "xhigh"})),
        ("effort", {"reasoning_effort": "none"}, ({"type": "disabled"}, None)),
        ("effort", {"reasoning_effort": "high", "tools": [LOOK], "tool_choice": "required"},
         (None, {"effort": "high"})),
        ("effort", {"reasoning_effort": "low", "thinking": {"type": "disabled"}}, ({"type": "disabled"}, None)),
        ("budget", {"reasoning_effort": "medium", "max_tokens": 8000},
         ({"type": "enabled", "budget_tokens": 4000}, None)),
        ("budget", {"reasoning_effort": "low", "max_tokens": 2000}, ({"type": "enabled", "budget_tokens": 1024}, None)),
        ("budget", {"reasoning_effort": "high", "max_tokens": 1024}, (None, None)),
        ("budget", {"reasoning_effort": "none"}, (None, None)),
        ("drop", {"reasoning_effort": "high"}, (None, None)),
        ("effort", {}, (None, None)),
    ],
)  # fmt: skip
def test_reasoning(how: Reasoning, body: dict[str, Any], sent: tuple[object, object]) -> None:
    encoded = encode(reasoning=how, **body)
    assert (encoded.get("thinking"), encoded.get("output_config")) == sent


def test_a_budget_waits_for_its_thoughts() -> None:
    """In a tool loop whose thought did not come back, Anthropic refuses to think by a budget."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    asked: dict[str, Any] = {"role": "assistant", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c", "content": "x"}
    body: dict[str, Any] = {"reasoning_effort": "high", "tools": [LOOK]}
    assert "thinking" not in encode(reasoning="budget", messages=[USER, asked, result], **body)
    thought = {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "anthropic-claude-v1"}
    asked["reasoning_details"] = [thought]
    assert "thinking" in encode(reasoning="budget", messages=[USER, asked, result], **body)


def test_what_is_anthropics_own_passes() -> None:
    own = {"top_k": 5, "thinking": {"type": "adaptive"}, "cache_control": {"type": "ephemeral"}}
    sent = encode(**own, output_config={"effort": "max"}, metadata={"user_id": "m", "task": "t"}, user="u")
    assert {name: sent[name] for name in own} == own
    assert sent["output_config"] == {"effort": "max"}
    assert sent["metadata"] == {"user_id": "m"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"n": 2}, "`n`"),
        ({"logprobs": True}, "`logprobs`"),
        ({"logit_bias": {"50256": -100}}, "`logit_bias`"),
        ({"presence_penalty": 0.5}, "`presence_penalty`"),
        ({"functions": [{"name": "f"}]}, "`functions`"),
        ({"modalities": ["text", "audio"]}, "`modalities`"),
        ({"web_search_options": {}}, "`web_search_options`"),
        ({"verbosity": "low"}, "`verbosity`"),
        ({"guided_regex": "a+"}, "does not know `guided_regex`"),
        ({"response_format": {"type": "json_object"}}, "by a schema only"),
        ({"stop": ["\n"]}, "white space"),
        ({"reasoning_effort": "much"}, "not 'much'"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, r"tools[0]"),
        ({"tools": [LOOK], "tool_choice": {"type": "allowed_tools"}}, "cannot choose"),
        ({"messages": [{"role": "system", "content": "x"}]}, "not the system's"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "'function' (messages[0])"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "ftp://x"}]}]}, "data:"),
        ({"thinking": {"type": "enabled", "clear_thinking": False}}, "another `thinking`"),
        ({"thinking": {"type": "enabled"}}, "another `thinking`"),
        ({"messages": [USER, {"role": "assistant", "content": "So "}]}, "white space (the end of the last message)"),
        ({"messages": [{"role": "user", "content": [7]}]}, "parts that are objects"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]}, "needs text"),
        ({"messages": [USER, {"role": "assistant", "function_call": {"name": "f"}}]}, "`function_call` (messages[1])"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{"type": "custom"}]}]}, "messages[1].tool_calls[0]"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]},
         "messages[1].tool_calls[0].function.arguments"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(body: dict[str, Any], reason: str) -> None:
    assert reason in why_not(**body)


def test_what_asks_for_nothing_is_no_hindrance() -> None:
    """Clients send defaults along."""
    encode(n=1, logprobs=False, logit_bias={}, presence_penalty=0, frequency_penalty=0.0, functions=None, audio=None,
           modalities=["text"], verbosity="medium", function_call="auto", something_new=None)  # fmt: skip


def test_what_real_applications_send() -> None:
    """Hundreds of recorded requests for others: Anthropic's own types accept what becomes of them, and what cannot be
    asked has a reason."""
    types = pytest.importorskip("anthropic.types.message_create_params")
    params = TypeAdapter[Any](types.MessageCreateParamsNonStreaming | types.MessageCreateParamsStreaming)
    known = {*types.MessageCreateParamsBase.__annotations__, "stream", "temperature", "top_p", "top_k"}
    reasons: Counter[str] = Counter()
    options = EncodeOptions(default_max_tokens=32_000, sampling="forward", reasoning="effort")
    for each in recorded_chats():
        try:
            sent = encode_request(decode_request(each.request), model="claude-1", options=options)
        except UntranslatableError as error:
            reasons[error.message.partition(" (")[0]] += 1
            continue
        assert sent.keys() <= known, each.id
        params.validate_python(sent)
        roles = [turn["role"] for turn in sent["messages"]]  # type: ignore[attr-defined]
        assert all(one != other for one, other in pairwise(roles)), each.id
    assert reasons.total() < 55, reasons  # documents, videos, and fields of single vendors
