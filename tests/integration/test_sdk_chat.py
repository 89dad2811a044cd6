"""The official OpenAI SDK against a sidecar process: answers, whole and streamed, with all that the SDK can ask."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator

import openai
import pydantic
import pytest
import pytest_asyncio

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.serve_process import ServeProcess, provider_table

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT = "Tell me about rivers."
TOKENS = 12
ASK = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[SimulationServer]:
    async with SimulationServer(profile=Profile(tpot_s=0.001, tokens=TOKENS)) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serve(provider: SimulationServer) -> AsyncIterator[ServeProcess]:
    config = f'version = 1\n{provider_table("lab", provider.base_url)}\n[routes.chat]\nupstreams = ["lab"]\n'
    with ServeProcess(config) as process:
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(serve: ServeProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{serve.url}/v1", api_key="unused", timeout=10) as client:
        yield client


async def test_a_whole_answer(client: openai.AsyncOpenAI) -> None:
    """A plain request is answered whole, with usage and the model that really answered."""
    answer = await client.chat.completions.create(**ASK)
    assert answer.choices[0].message.content == expected_text(PROMPT, TOKENS)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "model-lab"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == TOKENS


async def test_a_streamed_answer(client: openai.AsyncOpenAI) -> None:
    """A stream carries the same text, ends with its finish reason, and shows no usage nobody asked for."""
    stream = await client.chat.completions.create(**ASK, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected_text(PROMPT, TOKENS)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1


async def test_the_blocking_client_works_too(serve: ServeProcess) -> None:
    """The synchronous client reads the same stream."""

    def ask() -> str:
        with openai.OpenAI(base_url=f"{serve.url}/v1", api_key="unused", timeout=10) as client:
            stream = client.chat.completions.create(**ASK, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream)

    assert await asyncio.to_thread(ask) == expected_text(PROMPT, TOKENS)


def _tool(name: str) -> dict[str, object]:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


ASK_TOOLS = {
    "model": "chat",
    "messages": [{"role": "user", "content": "Please call the tools."}],
    "tools": [_tool("weather"), _tool("population")],
    "parallel_tool_calls": True,
}


async def test_parallel_tool_calls(client: openai.AsyncOpenAI) -> None:
    """Two tools that the model calls at once arrive as two calls with whole arguments."""
    answer = await client.chat.completions.create(**ASK_TOOLS)
    calls = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [call.function.name for call in calls or ()] == ["weather", "population"]
    assert all("city" in json.loads(call.function.arguments) for call in calls or ())


async def test_parallel_tool_calls_streamed(client: openai.AsyncOpenAI) -> None:
    """The fragments of a stream add up, in the SDK's own accumulator, to what the whole answer holds."""
    whole = await client.chat.completions.create(**ASK_TOOLS)
    async with client.chat.completions.stream(**ASK_TOOLS) as stream:
        final = await stream.get_final_completion()
    expected = [(call.id, call.function.name, call.function.arguments) for call in whole.choices[0].message.tool_calls]
    calls = final.choices[0].message.tool_calls
    assert [(call.id, call.function.name, call.function.arguments) for call in calls] == expected
    assert final.choices[0].finish_reason == "tool_calls"


class River(pydantic.BaseModel):
    """What a structured answer is parsed into."""

    name: str
    length_km: int
    crosses: list[str]


async def test_structured_output_is_parsed(client: openai.AsyncOpenAI, provider: SimulationServer) -> None:
    """`.parse` with a schema gets JSON of that schema, and the schema reaches the provider."""
    answer = await client.chat.completions.parse(**ASK, response_format=River)
    assert isinstance(answer.choices[0].message.parsed, River)
    sent = _last_body(provider)["response_format"]
    assert sent["type"] == "json_schema"
    assert set(sent["json_schema"]["schema"]["properties"]) == {"name", "length_km", "crosses"}


async def test_vision_parts_are_forwarded(client: openai.AsyncOpenAI, provider: SimulationServer) -> None:
    """Image parts reach the provider as they were sent."""
    parts = [
        {"type": "text", "text": "What is in this picture?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
    ]
    await client.chat.completions.create(model="chat", messages=[{"role": "user", "content": parts}])
    assert _last_body(provider)["messages"][0]["content"] == parts


@pytest.mark.parametrize("stream", [False, True])
async def test_two_choices(client: openai.AsyncOpenAI, stream: bool) -> None:
    """With n=2 both answers arrive whole and apart from each other."""
    texts = ["", ""]
    if stream:
        async for chunk in await client.chat.completions.create(**ASK, n=2, stream=True):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    else:
        answer = await client.chat.completions.create(**ASK, n=2)
        texts = [choice.message.content or "" for choice in answer.choices]
    assert texts == [expected_text(PROMPT, TOKENS, 0), expected_text(PROMPT, TOKENS, 1)]


async def test_log_probabilities(client: openai.AsyncOpenAI) -> None:
    """Log probabilities come through, in whole answers and in every chunk of a stream."""
    answer = await client.chat.completions.create(**ASK, logprobs=True, top_logprobs=2)
    content = answer.choices[0].logprobs.content
    assert "".join(token.token for token in content) == expected_text(PROMPT, TOKENS)
    assert all(len(token.top_logprobs) == 2 for token in content)
    stream = await client.chat.completions.create(**ASK, logprobs=True, stream=True)
    streamed = [
        token.token
        async for chunk in stream
        for token in ((chunk.choices[0].logprobs and chunk.choices[0].logprobs.content) or ())
    ]
    assert "".join(streamed) == expected_text(PROMPT, TOKENS)


async def test_known_and_future_parameters_arrive(client: openai.AsyncOpenAI, provider: SimulationServer) -> None:
    """Whatever the client sends reaches the provider unchanged, also fields from after our time."""
    future = {"thinking_budget": {"tokens": 12, "kinds": ["a", None, 1.5]}, "x_новое": "é"}
    answer = await client.chat.completions.create(
        **ASK, stop=["\n\n"], seed=2**40, service_tier="flex", temperature=0.25, metadata={"k": "v"}, extra_body=future
    )
    sent = _last_body(provider)
    known = {"stop": ["\n\n"], "seed": 2**40, "service_tier": "flex", "temperature": 0.25, "metadata": {"k": "v"}}
    assert {key: sent[key] for key in (*known, *future)} == {**known, **future}
    assert sent["model"] == "model-lab"
    assert answer.service_tier == "flex"


async def test_a_stop_sequence_ends_the_answer(client: openai.AsyncOpenAI) -> None:
    """The provider's stop at a sequence is passed on as an ordinary end."""
    whole = expected_text(PROMPT, TOKENS)
    word = whole.split()[4]
    answer = await client.chat.completions.create(**ASK, stop=word)
    assert answer.choices[0].message.content == whole.partition(word)[0]
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("is_asked", [True, False])
async def test_usage_of_a_stream(client: openai.AsyncOpenAI, provider: SimulationServer, is_asked: bool) -> None:
    """The provider is always asked for usage; the client sees the last chunk with it only where it asked too."""
    more = {"stream_options": {"include_usage": True}} if is_asked else {}
    chunks = [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True, **more)]
    assert _last_body(provider)["stream_options"]["include_usage"] is True
    if is_asked:
        assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        assert chunks[-1].choices == []
        assert chunks[-1].usage.completion_tokens == TOKENS
    else:
        assert all(chunk.choices for chunk in chunks)
        assert all(chunk.usage is None for chunk in chunks)


async def test_models_are_listed_and_found(client: openai.AsyncOpenAI) -> None:
    """Routes and upstreams are the models; each can be looked up, also as provider/model."""
    names = [model.id async for model in client.models.list()]
    assert {"chat", "lab"} <= set(names)
    for name in (*names, "lab/model-lab"):
        model = await client.models.retrieve(name)
        assert (model.id, model.object) == (name, "model")


async def test_raw_response_headers(client: openai.AsyncOpenAI) -> None:
    """Headers say which request it was, who answered, after how many attempts, and where the time went."""
    whole = await client.chat.completions.with_raw_response.create(**ASK, extra_headers={"x-request-id": "mine-1"})
    streamed = await client.chat.completions.with_raw_response.create(**ASK, stream=True)
    for response in (whole, streamed):
        assert response.headers["x-streamroute-upstream"] == "lab"
        assert response.headers["x-streamroute-provider"] == "lab"
        assert response.headers["x-streamroute-attempts"] == "1"
        assert "ttft;dur=" in response.headers["server-timing"]
    assert whole.headers["x-request-id"] == "mine-1"
    assert streamed.headers["x-request-id"].startswith("req_")
    assert streamed.headers["content-type"].startswith("text/event-stream")
    async for _ in await _awaited(streamed.parse()):
        pass


async def test_base_url_without_v1(serve: ServeProcess) -> None:
    """A base URL that lacks `/v1` works as well, for models and for both kinds of answers."""
    async with openai.AsyncOpenAI(base_url=serve.url, api_key="unused", timeout=10) as client:
        assert (await client.models.retrieve("chat")).id == "chat"
        answer = await client.chat.completions.create(**ASK)
        assert answer.choices[0].message.content == expected_text(PROMPT, TOKENS)
        chunks = [chunk async for chunk in await client.chat.completions.create(**ASK, stream=True)]
        assert chunks[-1].choices[0].finish_reason == "stop"


async def _awaited(value: object) -> object:
    return await value if inspect.isawaitable(value) else value


def _last_body(provider: SimulationServer) -> dict[str, object]:
    body = provider.log[-1].body
    assert body is not None
    return dict(body)
