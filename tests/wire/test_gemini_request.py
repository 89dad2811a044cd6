"""OpenAI's chat requests, written as Gemini's: what is said, and what is refused instead of being left out."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.wire.gemini.contents import UNCHECKED_SIGNATURE
from streamroute.wire.gemini.request import encode_request, request_path
from streamroute.wire.openai_chat.request import decode_request
from streamroute.wire.translation import UntranslatableError

HI = {"role": "user", "content": "Hi"}
NEW, OLD = "gemini-3-flash-preview", "gemini-2.5-flash"


def write(model: str = OLD, **fields: object) -> dict[str, Any]:
    """Return what the provider gets for a request with these fields."""
    chat = decode_request(orjson.dumps({"model": "chat", "messages": [HI], **fields}))
    written = orjson.loads(encode_request(chat, model=model))
    assert isinstance(written, dict)
    return written


def turns(*messages: object, model: str = OLD) -> list[dict[str, Any]]:
    contents = write(model, messages=list(messages))["contents"]
    assert isinstance(contents, list)
    return contents


def config(model: str = OLD, **fields: object) -> object:
    return write(model, **fields).get("generationConfig")


def refused(model: str = OLD, **fields: object) -> str | None:
    with pytest.raises(UntranslatableError) as caught:
        write(model, **fields)
    return caught.value.param


def assistant(*calls: tuple[str, str, str], **more: object) -> dict[str, object]:
    listed = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id_, name, arguments in calls
    ]
    return {"role": "assistant", "content": None, "tool_calls": listed, **more}


def test_paths() -> None:
    assert request_path("gemini-2.5-flash", stream=False) == "/gemini-2.5-flash:generateContent"
    assert request_path("gemini-2.5-flash", stream=True) == "/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert request_path("models/a b?c#d", stream=False) == "/a%20b%3Fc%23d:generateContent"


def test_a_plain_request() -> None:
    assert write() == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_what_changes_nothing_is_left_out() -> None:
    """The path says whether it streams; the rest is bookkeeping, or what Gemini does anyway."""
    plain = write()
    fields = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "u",
        "metadata": {"task": "t"},
        "store": False,
        "prompt_cache_key": "k",
        "parallel_tool_calls": True,
        "service_tier": "auto",
        "logit_bias": {},
        "n": 1,
        "response_format": {"type": "text"},
        "tool_choice": "auto",
        "logprobs": False,
        "stop": None,
        "unheard_of": None,
    }
    assert write(**fields) == plain


def test_roles() -> None:
    written = write(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            HI,
            {"role": "assistant", "content": "Hello", "reasoning_content": "Hm."},
            {"role": "assistant", "refusal": "No."},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": ""},
        ]
    )
    assert written == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [{"text": "No."}]},
            {"role": "user", "parts": [{"text": ""}]},
        ],
    }


def test_a_system_message_alone_is_the_turn() -> None:
    assert write(messages=[{"role": "system", "content": "Tell a joke."}]) == {
        "contents": [{"role": "user", "parts": [{"text": "Tell a joke."}]}]
    }


def test_media() -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/PNG;base64,aGk=", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a/cat.jpg?size=2"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat"}},
        {"type": "input_audio", "input_audio": {"format": "wav", "data": "d2F2"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,cGRm"}},
    ]
    assert turns({"role": "user", "content": content})[0]["parts"] == [
        {"text": "What is this?"},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"fileData": {"fileUri": "https://example.com/a/cat.jpg?size=2", "mimeType": "image/jpeg"}},
        {"fileData": {"fileUri": "https://example.com/cat"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "d2F2"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "cGRm"}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/png,raw"}},
        {"type": "image_url", "image_url": {"url": "ftp://example.com/cat.jpg"}},
        {"type": "image_url"},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "video", "video": {}},
        {"type": "text"},
        {"text": "x"},
        "x",
    ],
)
def test_media_that_cannot_be_told(part: object) -> None:
    param = refused(messages=[HI, {"role": "user", "content": [{"type": "text", "text": "a"}, part]}])
    assert param is not None
    assert param.startswith("messages[1].content[1]")


def test_tool_calls_and_their_results() -> None:
    """Results of one turn come together and have the names of what was called; signatures go back where they were."""
    signed = assistant(("c1", "weather", '{"city": "Zürich"}'), ("c2", "time", ""))
    signed["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "c2ln"}}  # type: ignore[index]
    contents = turns(
        HI,
        signed,
        {"role": "tool", "tool_call_id": "c2", "content": "noon"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": '{"celsius": 3}'}]},
        {"role": "user", "content": "Thanks"},
        model=NEW,
    )
    assert contents[1:] == [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"name": "weather", "args": {"city": "Zürich"}, "id": "c1"},
                    "thoughtSignature": "c2ln",
                },
                {"functionCall": {"name": "time", "args": {}, "id": "c2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "time", "response": {"output": "noon"}, "id": "c2"}},
                {"functionResponse": {"name": "weather", "response": {"celsius": 3}, "id": "c1"}},
            ],
        },
        {"role": "user", "parts": [{"text": "Thanks"}]},
    ]


def test_calls_of_other_models_have_no_signature() -> None:
    """Gemini 3 wants one with the first call of a turn, and knows a word for those; models before it check none."""
    messages = [HI, assistant(("c1", "f", "{}"), ("c2", "g", "{}"))]
    parts = turns(*messages, model=NEW)[1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [UNCHECKED_SIGNATURE, None]
    assert all("thoughtSignature" not in part for part in turns(*messages, model=OLD)[1]["parts"])


def test_signatures_of_text_go_back() -> None:
    said = {"role": "assistant", "content": "Hello", "extra_content": {"google": {"thought_signature": "c2ln"}}}
    assert turns(HI, said)[1]["parts"] == [{"text": "Hello", "thoughtSignature": "c2ln"}]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([HI, {"role": "tool", "tool_call_id": "c9", "content": "x"}], "messages[1].tool_call_id"),
        ([HI, assistant(("c1", "f", "[1]"))], "messages[1].tool_calls[0].function"),
        ([HI, assistant(("c1", "f", "{"))], "messages[1].tool_calls[0].function"),
        ([{"role": "wizard", "content": "x"}], "messages[0].role"),
        ([{"role": "assistant", "function_call": {"name": "f"}}], "messages[0]"),
        ([{"role": "user", "content": 3}], "messages[0].content"),
    ],
)
def test_messages_that_cannot_be_told(messages: object, param: str) -> None:
    assert refused(messages=messages) == param


def test_generation_config() -> None:
    assert config(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        max_tokens=9,
        max_completion_tokens=7,
        stop="END",
        n=2,
        seed=2**31 + 5,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=True,
        top_logprobs=3,
    ) == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "maxOutputTokens": 9,
        "stopSequences": ["END"],
        "candidateCount": 2,
        "seed": 5,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert config(temperature=0, max_tokens=9, stop=["a", "b"], seed=3) == {
        "temperature": 0,
        "maxOutputTokens": 9,
        "stopSequences": ["a", "b"],
        "seed": 3,
    }


def test_response_formats() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    assert config(response_format=wanted) == {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert config(response_format={"type": "json_object"}) == {"responseMimeType": "application/json"}
    assert refused(response_format={"type": "grammar", "grammar": "x"}) == "response_format"


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        (OLD, "none", {"thinkingBudget": 0}),
        (OLD, "minimal", {"thinkingBudget": 1024}),
        (OLD, "low", {"thinkingBudget": 1024}),
        (OLD, "medium", {"thinkingBudget": 8192}),
        (OLD, "high", {"thinkingBudget": 24576}),
        (NEW, "minimal", {"thinkingLevel": "minimal"}),
        (NEW, "high", {"thinkingLevel": "high"}),
        ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "low"}),
    ],
)
def test_reasoning_effort(model: str, effort: str, thinking: object) -> None:
    assert config(model, reasoning_effort=effort) == {"thinkingConfig": thinking}


def test_reasoning_efforts_that_a_model_does_not_have() -> None:
    assert refused(NEW, reasoning_effort="none") == "reasoning_effort"
    assert refused(OLD, reasoning_effort="xhigh") == "reasoning_effort"
    assert refused("gemini-2.5-pro", reasoning_effort="none") == "reasoning_effort"


def test_what_googles_compatible_endpoint_takes_beside() -> None:
    extra = {"google": {"thinking_config": {"include_thoughts": True}, "cached_content": "cachedContents/1"}}
    written = write(extra_body=extra, reasoning_effort="low")
    assert written["generationConfig"] == {"thinkingConfig": {"include_thoughts": True}}
    assert written["cachedContent"] == "cachedContents/1"
    assert refused(extra_body={"google": {"spell": 1}}) == "extra_body"
    assert refused(extra_body={"other": 1}) == "extra_body"


def test_tools() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False}
    tools = [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": True}},
        {"type": "function", "function": {"name": "g", "parameters": {}}},
    ]
    assert write(tools=tools)["tools"] == [
        {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": schema}, {"name": "g"}]}
    ]
    assert refused(tools=[{"type": "custom", "custom": {"name": "c"}}]) == "tools[0]"


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_tool_choice(choice: object, calling: object) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert write(tools=tools, tool_choice=choice)["toolConfig"] == {"functionCallingConfig": calling}


def test_json_beside_tools_came_with_gemini_3() -> None:
    """The recorded exchanges have it; models before it refuse, and another upstream may not."""
    fields: dict[str, Any] = {
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
    }
    assert refused(OLD, **fields) == "response_format"
    assert write(NEW, **fields)["generationConfig"] == {"responseMimeType": "application/json"}


def test_no_tools_and_no_choice() -> None:
    assert "toolConfig" not in write(tool_choice="none")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logit_bias", {"1": 2}),
        ("parallel_tool_calls", False),
        ("service_tier", "flex"),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "x"}),
        ("web_search_options", {}),
        ("functions", [{"name": "f"}]),
        ("function_call", {"name": "f"}),
        ("verbosity", "low"),
        ("guided_json", {}),
        ("continue_final_message", True),
        ("unheard_of", 1),
        ("tool_choice", "perhaps"),
    ],
)
def test_what_cannot_be_said_is_refused(field: str, value: object) -> None:
    """Never left out silently: another upstream may understand it."""
    assert refused(**{field: value}) == field


texts = st.text(min_size=1, max_size=12)
names = st.sampled_from(["f", "g", "lookup"])
objects = st.dictionaries(st.sampled_from("abc"), st.integers(0, 9) | texts, max_size=3)


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw messages as clients write them: every call has its result, in any order."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": text} for text in draw(st.lists(texts, max_size=1))]
    for turn in range(draw(st.integers(1, 4))):
        messages.append({"role": "user", "content": draw(texts)})
        calls = draw(st.lists(st.tuples(names, objects), max_size=3))
        made = [(f"c{turn}-{at}", name, orjson.dumps(value).decode()) for at, (name, value) in enumerate(calls)]
        if made:
            messages.append(assistant(*made))
            results = [{"role": "tool", "tool_call_id": id_, "content": draw(texts)} for id_, _, _ in made]
            messages += draw(st.permutations(results))
        messages.append({"role": "assistant", "content": draw(texts)})
    return messages


def told(messages: list[dict[str, Any]]) -> list[object]:
    """List what a conversation says, one fact after another."""
    facts: list[object] = []
    named = {call["id"]: call["function"]["name"] for each in messages for call in each.get("tool_calls", ())}
    for each in messages:
        if each["role"] == "tool":
            facts.append(("result", each["tool_call_id"], named[each["tool_call_id"]], each["content"]))
        elif each.get("content"):
            facts.append((each["role"], each["content"]))
        functions = [(call["id"], call["function"]) for call in each.get("tool_calls", ())]
        facts += [("call", id_, made["name"], orjson.loads(made["arguments"])) for id_, made in functions]
    return facts


def heard(request: dict[str, Any]) -> list[object]:
    """List the same of Gemini's request, by reading it as Gemini's documentation says."""
    facts: list[object] = [("system", part["text"]) for part in request.get("systemInstruction", {}).get("parts", ())]
    for content in request["contents"]:
        for part in content["parts"]:
            call, result = part.get("functionCall"), part.get("functionResponse")
            if call:
                assert content["role"] == "model"
                facts.append(("call", call["id"], call["name"], call["args"]))
            elif result:
                assert content["role"] == "user"
                facts.append(("result", result["id"], result["name"], result["response"]))
            else:
                facts.append(({"user": "user", "model": "assistant"}[content["role"]], part["text"]))
    return facts


@settings(max_examples=80)
@given(messages=conversations(), model=st.sampled_from([OLD, NEW]))
def test_conversations_say_the_same(messages: list[dict[str, Any]], model: str) -> None:
    """Nothing is lost, added or put elsewhere, and results of one turn stand in the one turn after it."""
    request = write(model, messages=messages)
    facts = [
        (*fact[:3], {"output": fact[3]}) if fact[0] == "result" and not _is_object(fact[3]) else fact  # type: ignore[index]
        for fact in told(messages)
    ]
    assert heard(request) == facts
    for content, after in zip(request["contents"], request["contents"][1:], strict=False):
        calls = [part["functionCall"]["id"] for part in content["parts"] if "functionCall" in part]
        if calls:
            assert sorted(part["functionResponse"]["id"] for part in after["parts"]) == sorted(calls)


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
