"""The official OpenAI SDK against a sidecar process: failures arrive as the SDK's own exceptions, once."""

from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest
import pytest_asyncio

from streamroute import clock
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, RateLimit, Stall
from streamroute.simulation.profile import Profile
from streamroute.simulation.record import RequestRecord
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.serve_process import ServeProcess, provider_table

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT = "Tell me about rivers."
TOKENS = 12
MESSAGES = [{"role": "user", "content": PROMPT}]
CLOSE_TOLERANCE_S = 0.5
"""The promise is 0.1 s; a busy machine gets some more."""
FAULTS: dict[str, Fault] = {
    "refusing": ErrorStatus(status=400, message="No such colour.", param="colour", code="invalid_value"),
    "limited-a": RateLimit(retry_after_s=30),
    "limited-b": RateLimit(retry_after_s=7),
    "broken-a": ErrorStatus(status=500),
    "broken-b": ErrorStatus(status=500),
    "overloaded-a": ErrorStatus(status=503),
    "overloaded-b": ErrorStatus(status=529),
    "lone": ErrorStatus(status=500),
    "resetting": Cut(at_token=4, how="reset"),
    "closing": Cut(at_token=4, how="close"),
    "ending": Cut(at_token=4, how="eof"),
    "stalling": Stall(at_token=4),
    "hanging": Stall(at_token=4),
}
"""What happens to requests for the upstream of that name. Each is for one test alone: the sidecar remembers."""
ROUTES = {
    "chat": ["well"],
    "rescued": ["broken-b", "well"],
    "limited": ["limited-a", "limited-b"],
    "broken": ["broken-a", "lone"],
    "overloaded": ["overloaded-a", "overloaded-b"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[SimulationServer]:
    phases = [Phase(fault=fault, model=f"model-{name}") for name, fault in FAULTS.items()]
    script = Script(profile=Profile(tpot_s=0.002, tokens=TOKENS), phases=phases)
    async with SimulationServer(script) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serve(provider: SimulationServer) -> AsyncIterator[ServeProcess]:
    tables = ["version = 1", *(provider_table(name, provider.base_url) for name in ("well", *FAULTS))]
    tables += [f"[routes.{name}]\nupstreams = {upstreams}" for name, upstreams in ROUTES.items()]
    tables += ['[routes.stall]\nupstreams = ["stalling"]\ndeadlines = { stall_s = 0.2 }']
    with ServeProcess("\n".join(tables)) as process:
        yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(serve: ServeProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{serve.url}/v1", api_key="unused", timeout=10, max_retries=2) as client:
        yield client


def _asked(provider: SimulationServer, *upstreams: str) -> list[RequestRecord]:
    models = {f"model-{name}" for name in upstreams}
    return [record for record in provider.log if record.model in models]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_model(client: openai.AsyncOpenAI, stream: bool) -> None:
    """A model that is not there is a NotFoundError that names the closest one."""
    with pytest.raises(openai.NotFoundError, match="'chat'") as caught:
        await client.chat.completions.create(model="chatt", messages=MESSAGES, stream=stream)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_an_unknown_model_looked_up(client: openai.AsyncOpenAI) -> None:
    """The same goes for a look-up."""
    with pytest.raises(openai.NotFoundError, match="'chat'"):
        await client.models.retrieve("chatt")


async def test_a_request_that_the_sidecar_refuses(client: openai.AsyncOpenAI) -> None:
    """Nonsense is a BadRequestError with a request id, and reaches no provider."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model=7, messages=MESSAGES)
    assert caught.value.param == "model"
    assert caught.value.request_id


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_that_the_provider_refuses(
    client: openai.AsyncOpenAI, provider: SimulationServer, stream: bool
) -> None:
    """The provider's 4xx is the client's own: a BadRequestError in the provider's words, asked for once."""
    before = len(_asked(provider, "refusing"))
    with pytest.raises(openai.BadRequestError, match="No such colour") as caught:
        await client.chat.completions.create(model="refusing", messages=MESSAGES, stream=stream)
    assert (caught.value.param, caught.value.code) == ("colour", "invalid_value")
    assert len(_asked(provider, "refusing")) == before + 1


async def test_all_are_rate_limited(client: openai.AsyncOpenAI, provider: SimulationServer) -> None:
    """Where all upstreams say 429 the client gets a RateLimitError with the shortest wait, and does not multiply it."""
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="limited", messages=MESSAGES)
    headers = caught.value.response.headers
    assert 5 <= int(headers["retry-after"]) <= 7
    assert 5000 <= int(headers["retry-after-ms"]) <= 7000
    assert headers["x-should-retry"] == "false"
    assert len(_asked(provider, "limited-a", "limited-b")) == 2


@pytest.mark.parametrize(
    ("route", "upstreams", "status"),
    [("broken", ("broken-a", "lone"), 502), ("overloaded", ("overloaded-a", "overloaded-b"), 503)],
)
async def test_attempts_do_not_multiply(
    client: openai.AsyncOpenAI, provider: SimulationServer, route: str, upstreams: tuple[str, ...], status: int
) -> None:
    """When all have failed the SDK, though it may retry twice, is told not to: providers see our attempts only."""
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model=route, messages=MESSAGES, stream=True)
    assert caught.value.status_code == status
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert all(name in caught.value.message for name in upstreams)
    attempts = int(caught.value.response.headers["x-streamroute-attempts"])
    assert attempts == len(_asked(provider, *upstreams)) == 2


async def test_a_failover_is_not_noticed(client: openai.AsyncOpenAI) -> None:
    """A provider that fails before its first token costs the client nothing but a header."""
    response = await client.chat.completions.with_raw_response.create(model="rescued", messages=MESSAGES)
    answer = response.parse()
    assert answer.choices[0].message.content == expected_text(PROMPT, TOKENS)
    assert answer.model == "model-well"
    assert response.headers["x-streamroute-upstream"] == "well"
    assert response.headers["x-streamroute-attempts"] == "2"


@pytest.mark.parametrize("model", ["resetting", "closing", "ending", "stall"])
async def test_a_cut_stream_is_an_error(client: openai.AsyncOpenAI, model: str) -> None:
    """A stream that breaks after its first token and is not to be carried on raises APIError: never a clean end, never
    a made-up finish reason."""
    text, finish_reasons = "", []
    honest = {"x-streamroute-midstream": "error"}
    with pytest.raises(openai.APIError) as caught:  # noqa: PT012 - the text before the error is part of it
        async for chunk in await client.chat.completions.create(
            model=model, messages=MESSAGES, stream=True, extra_headers=honest
        ):
            text += chunk.choices[0].delta.content or ""
            finish_reasons.append(chunk.choices[0].finish_reason)
    assert caught.value.body is not None
    assert text == expected_text(PROMPT, 4)
    assert set(finish_reasons) == {None}


async def test_closing_a_stream_reaches_the_provider(
    client: openai.AsyncOpenAI, provider: SimulationServer, serve: ServeProcess
) -> None:
    """A client that closes its stream ends the provider's request at once, and leaves nothing in flight."""
    stream = await client.chat.completions.create(model="hanging", messages=MESSAGES, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    (record,) = _asked(provider, "hanging")
    closed_at = clock.now()
    await stream.close()
    await provider.wait_until(lambda: record.client_closed_at is not None)
    assert record.client_closed_at is not None
    took_s = record.client_closed_at - closed_at
    print(f"the provider saw the disconnect after {took_s * 1000:.1f} ms")  # noqa: T201 - the figure, for whoever asks with -rP
    assert took_s < CLOSE_TOLERANCE_S
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            async with session.get(f"{serve.url}/status") as response:
                status = await response.json()
            if status["in_flight"] == 0:
                break
    assert status["in_flight"] == 0
    assert {name: entry["in_flight"] for name, entry in status["upstreams"].items() if entry["in_flight"]} == {}
    assert status["upstreams"]["hanging"]["attempts"]["cancelled"] == 1
    assert status["upstreams"]["hanging"]["attempts"]["failed"] == 0
