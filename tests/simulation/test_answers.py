"""Good answers: OpenAI's shapes, and the features that its clients ask for."""

import json
from typing import Any

import openai
import pytest

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.simulation.clients import PROMPT, ask, chat

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "minimum": 2},
        "unit": {"enum": ["C", "F"]},
        "wind": {"type": ["number", "null"]},
        "hours": {"type": "array", "items": {"$ref": "#/$defs/hour"}, "minItems": 2},
        "is_sunny": {"type": "boolean"},
        "either": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        "fixed": {"const": 3},
    },
    "$defs": {"hour": {"type": "object", "properties": {"at": {"type": "number"}}}},
}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("get_weather", "get_tides")
]


async def test_stream_has_the_shape_of_recorded_ones() -> None:
    """The fields of each chunk and their order are those of api.openai.com."""
    async with SimulationServer() as server:
        answer = await ask(server, chat(stream=True, max_tokens=2, stream_options={"include_usage": True}))
    head = ["id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "usage"]
    assert all(list(chunk) == head for chunk in answer.chunks)
    assert [chunk["choices"] for chunk in answer.chunks] == [
        [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": "", "refusal": None},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
        *([{"index": 0, "delta": {"content": token}, "logprobs": None, "finish_reason": None}] for token in _tokens(2)),
        [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}],
        [],
    ]
    assert [chunk["usage"] for chunk in answer.chunks[:-1]] == [None] * 4
    usage = answer.chunks[-1]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (len(PROMPT) // 4, 2)
    assert answer.events[-1] == "[DONE]"
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["x-request-id"].startswith("req_")


def _tokens(count: int) -> list[str]:
    return [f"{word} " for word in expected_text(PROMPT, count).split()]


async def test_usage_is_only_sent_when_asked_for() -> None:
    """Without `include_usage` no chunk has a usage field."""
    async with SimulationServer() as server:
        answer = await ask(server, chat(stream=True))
        assert all("usage" not in chunk for chunk in answer.chunks)


async def test_text_is_the_same_on_every_provider() -> None:
    """What makes a seam testable: seeds and profiles change everything but the text."""
    async with SimulationServer(profile=Profile(jitter=1)) as one, SimulationServer() as other:
        assert (await ask(one, chat(stream=True))).text == (await ask(other, chat(stream=True))).text


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_client_chooses_the_length(name: str) -> None:
    """The number of tokens is the limit that was asked for."""
    async with SimulationServer() as server:
        answer = await ask(server, chat(**{name: 5}))
        assert answer.json["choices"][0]["message"]["content"] == expected_text(PROMPT, 5)
        assert answer.json["usage"]["completion_tokens"] == 5


async def test_prefill_is_carried_on() -> None:
    """A trailing assistant message that begins the answer is continued without a seam, also within a token."""
    async with SimulationServer() as server:
        whole = expected_text(PROMPT, 16)
        for cut in (1, 11, 30, len(whole) - 1, len(whole)):
            body = chat(stream=True)
            body["messages"].append({"role": "assistant", "content": whole[:cut]})
            assert whole[:cut] + (await ask(server, body)).text == whole
        body["messages"][-1]["content"] = whole[:30]
        body["max_tokens"] = 2
        assert whole[:30] + (await ask(server, body)).text == expected_text(PROMPT, 4)
        body["messages"][-1]["content"] = "something else"
        assert (await ask(server, body)).text == expected_text(PROMPT, 2)


async def test_choices() -> None:
    """`n` answers differ, and their chunks alternate by index."""
    async with SimulationServer() as server:
        answer = await ask(server, chat(stream=True, n=3, max_tokens=4))
        texts = ["", "", ""]
        order = []
        for chunk in answer.chunks:
            (choice,) = chunk["choices"]
            texts[choice["index"]] += choice["delta"].get("content") or ""
            order.append(choice["index"])
        assert texts == [expected_text(PROMPT, 4, i) for i in range(3)]
        assert order == [0, 1, 2] * 6
        whole = (await ask(server, chat(n=3, max_tokens=4))).json
        assert [one["message"]["content"] for one in whole["choices"]] == texts


@pytest.mark.parametrize(("count", "words"), [(1, "call the tool"), (2, "please CALL THE TOOLS")])
async def test_tools_on_request(count: int, words: str) -> None:
    """The prompt asks for one call or for all of them; streamed fragments make up the same arguments."""
    async with SimulationServer() as server:
        whole = (await ask(server, chat(words, tools=TOOLS))).json["choices"][0]
        assert whole["finish_reason"] == "tool_calls"
        assert whole["message"]["content"] is None
        calls = whole["message"]["tool_calls"]
        assert [call["function"]["name"] for call in calls] == ["get_weather", "get_tides"][:count]
        arguments = json.loads(calls[0]["function"]["arguments"])
        assert arguments | {"city": ""} == {
            "city": "",
            "days": 2,
            "unit": "C",
            "wind": 7,
            "hours": [{"at": 7}, {"at": 7}],
            "is_sunny": True,
            "either": None,
            "fixed": 3,
        }
        streamed = await ask(server, chat(words, tools=TOOLS, stream=True))
        parts: list[dict[str, Any]] = [{} for _ in range(count)]
        order = []
        for chunk in streamed.chunks:
            for call in chunk["choices"][0]["delta"].get("tool_calls", ()):
                order.append(call["index"])
                part = parts[call["index"]]
                part["id"] = call.get("id", part.get("id"))
                part["arguments"] = part.get("arguments", "") + call["function"]["arguments"]
        assert [part["arguments"] for part in parts] == [call["function"]["arguments"] for call in calls]
        assert [part["id"] for part in parts] == [call["id"] for call in calls]
        assert order[: 2 * count] == list(range(count)) * 2
        assert streamed.finish_reasons == ["tool_calls"]


async def test_tool_choice() -> None:
    """A forced choice is obeyed, `none` and a tool's result end in text, `parallel_tool_calls: false` in one call."""

    async def names(prompt: str, **fields: Any) -> list[str]:
        message = (await ask(server, chat(prompt, tools=TOOLS, **fields))).json["choices"][0]["message"]
        return [call["function"]["name"] for call in message.get("tool_calls", ())]

    async with SimulationServer() as server:
        forced = {"type": "function", "function": {"name": "get_tides"}}
        assert await names("hello", tool_choice=forced) == ["get_tides"]
        assert await names("hello", tool_choice="required") == ["get_weather"]
        assert await names("hello", tool_choice="auto") == []
        assert await names("call the tools", tool_choice="none") == []
        assert await names("call the tools", parallel_tool_calls=False) == ["get_weather"]
        body = chat("call the tool", tools=TOOLS)
        body["messages"].append({"role": "tool", "tool_call_id": "x", "content": "sunny"})
        assert "tool_calls" not in (await ask(server, body)).json["choices"][0]["message"]


async def test_structured_answers() -> None:
    """`json_object` and `json_schema` are answered with JSON, streamed or not."""
    async with SimulationServer() as server:
        for wanted in (
            {"type": "json_object"},
            {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        ):
            whole = (await ask(server, chat(response_format=wanted))).json["choices"][0]["message"]["content"]
            streamed = await ask(server, chat(response_format=wanted, stream=True))
            assert streamed.text == whole
            assert isinstance(json.loads(whole), dict)


async def test_stop_and_logprobs_and_tier() -> None:
    """The answer ends before a stop sequence; log probabilities cover each token; the service tier is echoed."""
    async with SimulationServer() as server:
        whole = expected_text(PROMPT, 16)
        answer = await ask(server, chat(stream=True, stop=["never", "-0003"], service_tier="flex"))
        assert answer.text == whole[: whole.index("-0003")]
        assert {chunk["service_tier"] for chunk in answer.chunks} == {"flex"}
        answer = await ask(server, chat(stream=True, logprobs=True, top_logprobs=2, max_tokens=2))
        found = [chunk["choices"][0]["logprobs"] for chunk in answer.chunks]
        assert [one["content"][0]["token"] for one in found if one] == _tokens(2)
        assert len(found[1]["content"][0]["top_logprobs"]) == 2
        whole_answer = (await ask(server, chat(logprobs=True, max_tokens=2))).json
        assert len(whole_answer["choices"][0]["logprobs"]["content"]) == 2


@pytest.mark.parametrize(
    ("body", "words", "param"),
    [
        (b"{", "could not parse the JSON body", None),
        (b"[]", "Invalid type for 'body'", "body"),
        (b'{"model":"m"}', "Missing required parameter: 'messages'", "messages"),
        (b'{"messages":[]}', "you must provide a model parameter", None),
        (b'{"model":1}', "expected a string, but got an integer", "model"),
        (b'{"model":"m","messages":[]}', "empty array", "messages"),
        (b'{"model":"m","messages":"hi"}', "expected an array of objects, but got a string", "messages"),
        (b'{"model":"m","messages":[null]}', "expected an object, but got null", "messages[0]"),
        (b'{"model":"m","messages":[{"role":"x"}]}', "Invalid value: 'x'", "messages[0].role"),
        (b'{"model":"m","messages":[{"role":"user"}]}', "string or array of objects", "messages[0].content"),
        (json.dumps(chat(n=0)).encode(), "integer below minimum value", "n"),
        (json.dumps(chat(n=129)).encode(), "integer above maximum value", "n"),
        (json.dumps(chat(max_tokens=1.5)).encode(), "expected an integer, but got a decimal", "max_tokens"),
        (json.dumps(chat(stream="yes")).encode(), "expected a boolean, but got a string", "stream"),
        (json.dumps(chat(stop=[1])).encode(), "string or array of strings", "stop"),
        (json.dumps(chat(tools={})).encode(), "expected an array of objects, but got an object", "tools"),
        (json.dumps(chat(tools=[{}])).encode(), "Missing required parameter: 'tools[0].function'", "tools[0].function"),
        (json.dumps(chat(stream_options={})).encode(), "only allowed when 'stream' is enabled", "stream_options"),
        (json.dumps(chat(stream=True, stream_options=1)).encode(), "expected an object", "stream_options"),
    ],
)
async def test_wrong_requests_are_refused_like_openai_does(body: bytes, words: str, param: str | None) -> None:
    """A router that spoils a request is found out: 400 with OpenAI's words."""
    async with SimulationServer() as server:
        answer = await ask(server, body)
        assert answer.status == 400
        assert words in answer.json["error"]["message"]
        assert answer.json["error"]["param"] == param
        assert answer.json["error"]["type"] == "invalid_request_error"


async def test_keys_and_models() -> None:
    """A provider with a key refuses others with 401, and models it does not know with 404."""
    profile = Profile(api_key="k1", models=("sim-1", "sim-2"), sends_rate_limit_headers=True)
    async with SimulationServer(profile=profile) as server:
        assert (await ask(server, chat())).status == 401
        wrong = await ask(server, chat(), headers={"Authorization": "Bearer k2"})
        assert (wrong.status, wrong.json["error"]["code"]) == (401, "invalid_api_key")
        right = {"Authorization": "Bearer k1"}
        missing = await ask(server, chat(model="sim-9"), headers=right)
        assert (missing.status, missing.json["error"]["code"]) == (404, "model_not_found")
        good = await ask(server, chat(), headers=right)
        assert (good.status, good.headers["x-ratelimit-limit-requests"]) == (200, "10000")


async def test_official_client_understands_it() -> None:
    """The OpenAI SDK reads streams, whole answers, the list of models and errors."""
    async with (
        SimulationServer(profile=Profile(api_key="k")) as server,
        openai.AsyncOpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client,
    ):
        messages: Any = [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]
        whole = await client.chat.completions.create(model="m", messages=messages)
        assert whole.choices[0].message.content == expected_text(PROMPT, 16)
        stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == whole.choices[0].message.content
        assert [model.id async for model in client.models.list()] == ["sim-1"]
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="other").models.list()
