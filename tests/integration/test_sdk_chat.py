"""The official OpenAI SDK against a sidecar process: answers, whole and streamed, with all that the SDK can ask."""

import asyncio
from collections.abc import AsyncIterator

import openai
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
