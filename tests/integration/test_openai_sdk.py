"""The official OpenAI SDK against `streamroute serve`: what it sends works, what goes wrong arrives as its exceptions.

One process serves all tests here, so each failure has an upstream of its own: what is learned of one stays.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import openai
import pydantic
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, OpenAI

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, NoResponse, RateLimit
from streamroute.simulation.profile import Profile
from streamroute.simulation.record import RequestRecord
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.sidecar import ServeProcess, write_config

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT = "Tell me about rivers."
TOKENS = 12
TEXT = expected_text(PROMPT, TOKENS)
ASK = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}]}
PACED = Profile(tpot_s=0.005, tokens=TOKENS)
ENDLESS = Profile(tpot_s=0.01, tokens=5000)
PROVIDERS: dict[str, tuple[Fault | None, Profile]] = {
    "well": (None, Profile(tokens=TOKENS)),
    "paced": (None, PACED),
    "endless": (None, ENDLESS),
    "mute": (NoResponse(), ENDLESS),
    "limited-1": (RateLimit(retry_after_s=7), PACED),
    "limited-2": (RateLimit(retry_after_s=9), PACED),
    "broken-1": (ErrorStatus(status=500), PACED),
    "broken-2": (ErrorStatus(status=500), PACED),
    "full-1": (ErrorStatus(status=503), PACED),
    "full-2": (ErrorStatus(status=529), PACED),
    "cut": (Cut(at_token=4), PACED),
    "strict": (ErrorStatus(status=400, message="temperature must be below 2", param="temperature"), PACED),
}
ROUTES = {
    "chat": ["well"],
    "paced-chat": ["paced"],
    "endless-chat": ["endless"],
    "mute-chat": ["mute"],
    "limited": ["limited-1", "limited-2"],
    "broken": ["broken-1", "broken-2"],
    "full": ["full-1", "full-2"],
    "breaks-off": ["cut"],
    "strict-chat": ["strict", "well"],
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for name in ("get_weather", "get_time")
]


@dataclass(frozen=True)
class Lab:
    """Providers and the sidecar in front of them."""

    serve: ServeProcess
    providers: dict[str, SimulationServer]

    def last(self, provider: str = "well") -> RequestRecord:
        """The latest request that a provider has seen."""
        return self.providers[provider].log[-1]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with AsyncExitStack() as stack:
        providers = {
            name: await stack.enter_async_context(SimulationServer(fault, profile=profile))
            for name, (fault, profile) in PROVIDERS.items()
        }
        config = write_config(
            tmp_path_factory.mktemp("sdk"), providers, routes=ROUTES, route={"retry": {"backoff_s": 0.01}}
        )
        serve = await stack.enter_async_context(ServeProcess.start(config))
        yield Lab(serve, providers)


@pytest_asyncio.fixture(loop_scope="module")
async def client(lab: Lab) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{lab.serve.url}/v1", api_key="unused") as client:
        yield client


@pytest.fixture
def sync_client(lab: Lab) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{lab.serve.url}/v1", api_key="unused") as client:
        yield client


async def test_whole_answer(lab: Lab, client: AsyncOpenAI) -> None:
    """An answer that does not stream arrives unchanged, with who gave it."""
    answer = await client.chat.completions.create(**ASK)
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == TOKENS
    assert lab.last().body is not None
    assert lab.last().body["model"] == "model-well", "the provider is asked for the name that it knows"


async def test_stream(client: AsyncOpenAI) -> None:
    """A stream arrives whole; no usage chunk comes to a client that did not ask for one."""
    stream = await client.chat.completions.create(**ASK, stream=True)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.choices for chunk in chunks)
    assert not any(chunk.usage for chunk in chunks)


async def test_stream_with_usage(lab: Lab, client: AsyncOpenAI) -> None:
    """Who asks for usage gets it as the last chunk, which has no choices."""
    stream = await client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == TOKENS
    assert not any(chunk.usage for chunk in chunks[:-1])


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_base_urls(lab: Lab, suffix: str) -> None:
    """The base URL works with and without /v1."""
    async with AsyncOpenAI(base_url=lab.serve.url + suffix, api_key="unused") as client:
        answer = await client.chat.completions.create(**ASK)
        assert answer.choices[0].message.content == TEXT
        assert (await client.models.retrieve("chat")).id == "chat"


async def test_sync_client(sync_client: OpenAI) -> None:
    """The synchronous client works the same."""

    def ask() -> tuple[str, str | None]:
        with sync_client.chat.completions.create(**ASK, stream=True) as stream:
            streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        return streamed, sync_client.chat.completions.create(**ASK).choices[0].message.content

    assert await asyncio.to_thread(ask) == (TEXT, TEXT)


async def test_parallel_tool_calls(client: AsyncOpenAI) -> None:
    """Parallel tool calls of a whole answer keep their ids, names and arguments."""
    answer = await client.chat.completions.create(
        model="chat", messages=[{"role": "user", "content": "call the tools"}], tools=TOOLS
    )
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert all("city" in pydantic.TypeAdapter(dict).validate_json(call.function.arguments) for call in calls)
    assert len({call.id for call in calls}) == 2
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_parallel_tool_calls_streamed(client: AsyncOpenAI) -> None:
    """The SDK's own accumulator builds the same calls from a stream."""
    async with client.chat.completions.stream(
        model="chat", messages=[{"role": "user", "content": "call the tools"}], tools=TOOLS
    ) as stream:
        answer = await stream.get_final_completion()
    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["get_weather", "get_time"]
    assert all("city" in pydantic.TypeAdapter(dict).validate_json(call.function.arguments) for call in calls)
    assert answer.choices[0].finish_reason == "tool_calls"


class Weather(pydantic.BaseModel):
    """What the model shall answer with."""

    city: str
    degrees: int


async def test_json_schema(client: AsyncOpenAI) -> None:
    """`parse` gets an object of the schema, as a stream and not."""
    answer = await client.chat.completions.parse(**ASK, response_format=Weather)
    assert isinstance(answer.choices[0].message.parsed, Weather)
    async with client.chat.completions.stream(**ASK, response_format=Weather) as stream:
        assert isinstance((await stream.get_final_completion()).choices[0].message.parsed, Weather)


async def test_vision_parts(lab: Lab, client: AsyncOpenAI) -> None:
    """Parts of a message travel unchanged."""
    parts = [
        {"type": "text", "text": PROMPT},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
    ]
    await client.chat.completions.create(model="chat", messages=[{"role": "user", "content": parts}])
    body = lab.last().body
    assert body is not None
    assert body["messages"] == [{"role": "user", "content": parts}]


async def test_parameters_arrive(lab: Lab, client: AsyncOpenAI) -> None:
    """Every parameter reaches the provider, also ones from the future; only the model's name is changed."""
    more = {
        "stop": ["zebra"],
        "seed": 2**53 + 1,
        "service_tier": "flex",
        "temperature": 0.1,
        "max_completion_tokens": TOKENS,
        "user": "someone",
        "metadata": {"k": "v"},
    }
    unknown = {"reasoning_effort_v9": {"deep": [1, None, "ünï\u2028"]}, "top_k": 4}
    answer = await client.chat.completions.create(**ASK, **more, extra_body=unknown)
    assert lab.last().body == {**ASK, **more, **unknown, "model": "model-well"}
    assert answer.service_tier == "flex"


async def test_unknown_fields_of_a_stream_arrive(lab: Lab, client: AsyncOpenAI) -> None:
    """The same for streams; stream options of the client's own are kept beside the usage that is always asked for."""
    options = {"include_obfuscation": False}
    stream = await client.chat.completions.create(
        **ASK, stream=True, stream_options=options, extra_body={"new_thing": [1]}
    )
    async for _ in stream:
        pass
    options = {**options, "include_usage": True}
    assert lab.last().body == {
        **ASK,
        "model": "model-well",
        "stream": True,
        "stream_options": options,
        "new_thing": [1],
    }


async def test_choices_and_logprobs(client: AsyncOpenAI) -> None:
    """Several choices and their log probabilities arrive, as a stream and not."""
    more = {"n": 2, "logprobs": True, "top_logprobs": 2}
    answer = await client.chat.completions.create(**ASK, **more)
    expected = [expected_text(PROMPT, TOKENS, choice) for choice in range(2)]
    assert [choice.message.content for choice in answer.choices] == expected
    stream = await client.chat.completions.create(**ASK, **more, stream=True)
    texts, tokens = ["", ""], 0
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            tokens += len(choice.logprobs.content or []) if choice.logprobs else 0
    assert texts == expected
    assert tokens == 2 * TOKENS


async def test_stop(client: AsyncOpenAI) -> None:
    """A stop sequence ends the answer at the provider."""
    answer = await client.chat.completions.create(**ASK, stop="-0003")
    assert answer.choices[0].message.content == TEXT[: TEXT.index("-0003")]


async def test_models(client: AsyncOpenAI) -> None:
    """Routes and upstreams are listed, and each can be looked up, also as `provider/model`."""
    listed = [model.id async for model in client.models.list()]
    assert set(listed) == {*ROUTES, *PROVIDERS}
    assert listed[: len(ROUTES)] == list(ROUTES), "routes come first"
    assert (await client.models.retrieve("well")).id == "well"
    assert (await client.models.retrieve("well/model-well")).object == "model"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nothing-like-it")


async def test_answers_name_who_gave_them(client: AsyncOpenAI) -> None:
    """Headers say who answered, after how many attempts, and where the time went; a request id is kept."""
    raw = await client.chat.completions.with_raw_response.create(**ASK, extra_headers={"x-request-id": "mine-1"})
    assert raw.headers["x-request-id"] == "mine-1"
    assert raw.headers["x-streamroute-upstream"] == "well"
    assert raw.headers["x-streamroute-provider"] == "well"
    assert raw.headers["x-streamroute-attempts"] == "1"
    assert "ttft;dur=" in raw.headers["server-timing"]
    streamed = await client.chat.completions.with_raw_response.create(**ASK, stream=True)
    assert streamed.headers["x-request-id"].startswith("req_")
    assert streamed.headers["x-streamroute-upstream"] == "well"
    async for _ in streamed.parse():
        pass


async def test_unknown_model(client: AsyncOpenAI) -> None:
    """An unknown model is a NotFoundError that names the closest one there is."""
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="chta", messages=ASK["messages"])
    assert caught.value.code == "model_not_found"
    assert "'chat'" in caught.value.message


async def test_wrong_request(client: AsyncOpenAI) -> None:
    """A request that we can see is wrong is a BadRequestError that names the field."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="chat", messages=[])
    assert caught.value.param == "messages"


@pytest.mark.parametrize("stream", [False, True])
async def test_request_that_the_provider_refuses(lab: Lab, client: AsyncOpenAI, stream: bool) -> None:
    """A provider's 400 is the client's fault: told once, in the provider's words, nobody else is asked."""
    before = len(lab.providers["well"].log), len(lab.providers["strict"].log)
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="strict-chat", messages=ASK["messages"], stream=stream)
    assert caught.value.param == "temperature"
    assert "temperature must be below 2" in caught.value.message
    assert (len(lab.providers["well"].log), len(lab.providers["strict"].log)) == (before[0], before[1] + 1)


async def test_rate_limited(lab: Lab, client: AsyncOpenAI) -> None:
    """When all are rate limited it is a RateLimitError that says when the first one can be asked again."""
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="limited", messages=ASK["messages"])
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 7
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert [len(lab.providers[name].log) for name in ("limited-1", "limited-2")] == [1, 1]


@pytest.mark.parametrize(("route", "status"), [("broken", 502), ("full", 503)])
async def test_all_fail(lab: Lab, client: AsyncOpenAI, route: str, status: int) -> None:
    """When all fail the SDK does not multiply our attempts: each upstream is asked once, the SDK's retries aside."""
    assert client.max_retries == 2
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model=route, messages=ASK["messages"])
    assert caught.value.status_code == status
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.response.headers["x-streamroute-attempts"] == "2"
    assert [len(lab.providers[name].log) for name in ROUTES[route]] == [1, 1]
    assert all(name in caught.value.message for name in ROUTES[route]), "it says what was tried"


async def test_stream_that_breaks_off(client: AsyncOpenAI) -> None:
    """A stream cut after content raises APIError after what came; it never ends as if it were whole."""
    text, reasons = "", set()

    async def read() -> None:
        nonlocal text
        async for chunk in await client.chat.completions.create(
            model="breaks-off", messages=ASK["messages"], stream=True
        ):
            text += chunk.choices[0].delta.content or ""
            reasons.add(chunk.choices[0].finish_reason)

    with pytest.raises(openai.APIError, match="breaks-off") as caught:
        await read()
    assert caught.value.code == "reset"
    assert text == expected_text(PROMPT, 4)
    assert reasons == {None}


async def test_cancel(lab: Lab, client: AsyncOpenAI) -> None:
    """Closing a stream reaches the provider within 100 ms, and nothing is left in flight."""
    provider, loop = lab.providers["endless"], asyncio.get_running_loop()
    stream = await client.chat.completions.create(model="endless-chat", messages=ASK["messages"], stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    closed_at = loop.time()
    await stream.close()
    await provider.wait_until(lambda: provider.log[-1].client_closed_at is not None)
    noticed_at = provider.log[-1].client_closed_at
    assert noticed_at is not None
    assert noticed_at - closed_at < 0.1
    assert provider.log[-1].tokens_sent < 1000
    status = (await client.with_options(base_url=lab.serve.url).get("/status", cast_to=object)) or {}
    assert isinstance(status, dict)
    assert status["upstreams"]["endless"]["in_flight"] == 0
    assert status["upstreams"]["endless"]["attempts"]["cancelled"] == 1
    assert status["upstreams"]["endless"]["attempts"]["failed"] == 0
    assert status["in_flight"] == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_cancel_before_the_first_token(lab: Lab, client: AsyncOpenAI, stream: bool) -> None:
    """A client that gives up while nothing has come yet is noticed too."""
    provider = lab.providers["mute"]
    quick = client.with_options(timeout=0.15, max_retries=0)
    with pytest.raises(openai.APITimeoutError):
        await quick.chat.completions.create(model="mute-chat", messages=ASK["messages"], stream=stream)
    await provider.wait_until(lambda: provider.in_flight == 0 and provider.log[-1].client_closed_at is not None)
