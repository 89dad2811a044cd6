"""Reading a client's request and writing the provider's."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.core.request import ChatRequest
from streamroute.errors import RequestError
from streamroute.wire.openai_chat.request import decode_request, encode_request

MINIMAL: dict[str, object] = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}


def decode(**fields: object) -> ChatRequest:
    return decode_request(orjson.dumps({**MINIMAL, **fields}))


def encode(request: ChatRequest, *, ask_usage: bool = True) -> dict[str, object]:
    body = orjson.loads(encode_request(request, model="small-1", ask_usage=ask_usage))
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 7}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages"),
        ({"messages": [{}, None]}, "messages"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": True}, "stream_options"),
        ({"stream_options": []}, "stream_options"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": True}, "n"),
        ({"n": 1.5}, "n"),
        ({"n": "2"}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"max_completion_tokens": [1]}, "max_completion_tokens"),
    ],
)
def test_rules_name_the_field(fields: dict[str, object], param: str) -> None:
    """Each rule that is broken is refused with 400 and the name of the field."""
    with pytest.raises(RequestError) as caught:
        decode(**fields)
    assert caught.value.status == 400
    assert caught.value.param == param
    assert f"`{param}`" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"\x00",
        b'{"model": "a\x00b"}',
        b"\xff\xfe{}",
        b'{"a": NaN}',
        b"[" * 5000,
        b'{"a":' * 2000,
    ],
)
def test_bodies_that_are_no_object(body: bytes) -> None:
    """What is not a JSON object is refused as such, in words."""
    with pytest.raises(RequestError) as caught:
        decode_request(body)
    assert caught.value.status == 400
    assert caught.value.message.startswith("The request body")


@pytest.mark.parametrize("depth", [200, 249, 250, 251, 252, 253, 254, 255, 256, 400, 1000])
def test_deeply_nested_bodies(depth: int) -> None:
    """A body is refused when it is read, never when it is written for a provider: that would be an error of ours."""
    nested = b"[" * depth + b"]" * depth
    body = b'{"model":"chat","stream":true,"messages":[{"role":"user"}],"x":' + nested + b"}"
    if depth <= 251:
        assert b'"x":' + nested in encode_request(decode_request(body), model="small-1", ask_usage=True)
    else:
        with pytest.raises(RequestError, match="nested too deeply"):
            decode_request(body)


def test_defaults() -> None:
    """A minimal request asks for one answer that does not stream."""
    request = decode()
    assert (request.model, request.stream, request.wants_usage, request.choices) == ("chat", False, False, 1)
    assert (request.uses_tools, request.uses_vision, request.uses_json_schema) == (False, False, False)
    assert request.max_output_tokens is None
    assert request.prompt_bytes == len(orjson.dumps(MINIMAL))


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"stream": True}, "stream", True),
        ({"stream": None}, "stream", False),
        ({"stream_options": {"include_usage": True}}, "wants_usage", True),
        ({"stream_options": {"include_usage": 1}}, "wants_usage", False),
        ({"stream_options": {}}, "wants_usage", False),
        ({"n": 3}, "choices", 3),
        ({"n": None}, "choices", 1),
        ({"tools": [{"type": "function"}]}, "uses_tools", True),
        ({"tools": []}, "uses_tools", False),
        ({"functions": [{}]}, "uses_tools", True),
        ({"response_format": {"type": "json_schema"}}, "uses_json_schema", True),
        ({"response_format": {"type": "json_object"}}, "uses_json_schema", False),
        ({"response_format": "text"}, "uses_json_schema", False),
        ({"messages": [{"content": [{"type": "image_url"}]}]}, "uses_vision", True),
        ({"messages": [{"content": [{"type": "text"}, "x", None]}]}, "uses_vision", False),
        ({"messages": [{"content": "x"}, {"content": [{"type": "image"}, {"type": "image_url"}]}]}, "images", 2),
        ({"max_tokens": 5}, "max_output_tokens", 5),
        ({"max_completion_tokens": 7, "max_tokens": 5}, "max_output_tokens", 7),
    ],
)
def test_facts(fields: dict[str, object], attribute: str, value: object) -> None:
    """What routing and execution need is read from the body."""
    assert getattr(decode(**fields), attribute) == value


def test_fields_of_the_future_are_kept() -> None:
    """Everything but the model travels as it came, known or not, also numbers of 64 bits."""
    fields = {
        "service_tier": "flex",
        "seed": 2**63 + 5,
        "logit_bias": {"50256": -100},
        "a_field_of_2031": {"nested": [1, None, {"x": "grüße 🦊"}]},
        "temperature": 0.1,
        "metadata": None,
    }
    request = decode(**fields)
    assert encode(request) == {**MINIMAL, **fields, "model": "small-1"}


def test_huge_numbers_are_no_error() -> None:
    """An integer beyond 64 bits is a number like any other."""
    body = json.dumps({**MINIMAL, "seed": 2**80}).encode()
    assert encode(decode_request(body))["seed"] == pytest.approx(2**80)


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True}, {"x": 1}])
def test_usage_is_asked_of_every_stream(options: dict[str, object] | None) -> None:
    """Whatever the client said, a stream is asked for its usage; other options stay."""
    body = encode(decode(stream=True, stream_options=options))
    assert body["stream_options"] == {**(options or {}), "include_usage": True}


def test_usage_is_not_asked_where_the_provider_refuses_the_field() -> None:
    """For providers that reject it the option goes, and an object that is left empty goes with it."""
    request = decode(stream=True, stream_options={"include_usage": True})
    assert "stream_options" not in encode(request, ask_usage=False)
    request = decode(stream=True, stream_options={"include_usage": True, "include_obfuscation": False})
    assert encode(request, ask_usage=False)["stream_options"] == {"include_obfuscation": False}
    assert request.payload["stream_options"] == {"include_usage": True, "include_obfuscation": False}


def test_answers_that_do_not_stream_are_not_asked() -> None:
    """`stream_options` without `stream` is an error at OpenAI: it is never added."""
    assert "stream_options" not in encode(decode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
field_names = st.sampled_from(
    [
        "model",
        "messages",
        "stream",
        "stream_options",
        "n",
        "tools",
        "functions",
        "response_format",
        "max_tokens",
        "max_completion_tokens",
        "other",
    ]
)


@settings(deadline=None, max_examples=200)
@given(fields=st.dictionaries(field_names, json_values, max_size=6), is_complete=st.booleans())
def test_any_json_is_served_or_refused(fields: dict[str, object], is_complete: bool) -> None:
    """Whatever JSON comes, it is either refused by `RequestError` or can be written for a provider."""
    body = json.dumps({**(MINIMAL if is_complete else {}), **fields}).encode()
    try:
        request = decode_request(body)
    except RequestError:
        return
    assert encode(request)["model"] == "small-1"


@settings(deadline=None, max_examples=100)
@given(body=st.binary(max_size=60))
def test_any_bytes_are_served_or_refused(body: bytes) -> None:
    """Bytes that are no JSON are refused by `RequestError` and nothing else."""
    with pytest.raises(RequestError):
        decode_request(body)


def test_of_two_limits_the_larger_one_counts() -> None:
    """Providers differ in which they heed, and both travel: what may be spent must not go by the smaller."""
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    for limits, expected in (
        ({"max_completion_tokens": 1, "max_tokens": 5000}, 5000),
        ({"max_tokens": 7}, 7),
        ({}, None),
    ):
        assert decode_request(orjson.dumps({**body, **limits})).max_output_tokens == expected


def test_what_only_google_reads_is_not_sent_to_others() -> None:
    """Clients give signatures of Gemini's thoughts back, whoever is asked next; most others refuse fields they do not
    know. Nothing else is taken away, and the request itself stays as it is: the next attempt may be Gemini's."""
    google = {"google": {"thought_signature": "c2ln"}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    noted = {
        "role": "assistant",
        "tool_calls": [{**call, "extra_content": google}, call],
        "extra_content": {**google, "other": 1},
    }
    hello = {"role": "user", "content": "x", "unheard_of": 1}
    request = decode_request(
        orjson.dumps({"model": "m", "messages": [hello, noted, {**noted, "extra_content": google}]})
    )
    before = orjson.dumps(request.payload)
    sent = orjson.loads(encode_request(request, model="m", ask_usage=True, takes_google_notes=False))["messages"]
    assert sent == [
        hello,
        {"role": "assistant", "tool_calls": [call, call], "extra_content": {"other": 1}},
        {"role": "assistant", "tool_calls": [call, call]},
    ]
    assert orjson.dumps(request.payload) == before
    kept = orjson.loads(encode_request(request, model="m", ask_usage=True))
    assert kept["messages"] == orjson.loads(before)["messages"]


def test_what_only_claude_reads_stays_with_claude() -> None:
    """Its thoughts and their signatures; details of others pass, and what was given is not changed."""
    claude = {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "anthropic-claude-v1"}
    other = {"type": "reasoning.summary", "summary": "Hm.", "format": "openai-responses-v1"}
    hello = {"role": "user", "content": "Hi"}
    told = {"role": "assistant", "content": "So."}
    messages = [
        hello,
        {**told, "reasoning_content": "Hm.", "reasoning_details": [claude]},
        {**told, "reasoning_content": "Hm.", "reasoning_details": [claude, other]},
        {**told, "reasoning_content": "Mine.", "reasoning_details": [other]},
        {**told, "reasoning_content": "Mine."},
    ]
    request = decode_request(orjson.dumps({"model": "chat", "messages": messages}))
    sent = orjson.loads(encode_request(request, model="m", ask_usage=True, takes_reasoning_details=False))["messages"]
    assert sent == [hello, told, {**told, "reasoning_details": [other]}, *messages[3:]]
    kept = orjson.loads(encode_request(request, model="m", ask_usage=True))["messages"]
    assert kept == messages


@pytest.mark.parametrize("text", ["word " * 4000, "слово " * 4000])
def test_how_many_tokens_a_prompt_has_at_least(text: str) -> None:
    """One for eight characters, in any script and however it is written; of what is no text nobody knows the tokens."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    content = [{"type": "text", "text": text}, image, {"type": "text", "text": text}, "?", {"type": "text", "text": 1}]
    messages = [{"role": "system", "content": text}, {"role": "user", "content": content}, {"role": "assistant"}]
    for body in (
        json.dumps({"model": "m", "messages": messages}).encode(),
        orjson.dumps({"model": "m", "messages": messages}),
    ):
        assert decode_request(body).least_prompt_tokens == 3 * len(text) // 8
