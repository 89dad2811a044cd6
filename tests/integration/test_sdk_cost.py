"""What an answer has cost, as the official OpenAI SDK shows it."""

from collections.abc import AsyncIterator

import openai
import pytest
import pytest_asyncio

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.serve_process import ServeProcess, provider_table

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKENS = 12
ASK = {"model": "chat", "messages": [{"role": "user", "content": "Tell me about rivers."}]}
PRICE = "price = { input_per_mtok = 1.25, output_per_mtok = 10 }\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serve() -> AsyncIterator[ServeProcess]:
    async with SimulationServer(profile=Profile(tpot_s=0.001, tokens=TOKENS)) as server:
        config = (
            f"version = 1\n{provider_table('lab', server.base_url)}\n{PRICE}{provider_table('free', server.base_url)}\n"
            '[routes.chat]\nupstreams = ["lab"]\n[routes.unpriced]\nupstreams = ["free"]\n'
        )
        with ServeProcess(config) as process:
            yield process


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(serve: ServeProcess) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{serve.url}/v1", api_key="unused", timeout=10) as client:
        yield client


def usd(usage: openai.types.CompletionUsage) -> float:
    return (usage.prompt_tokens * 1.25 + usage.completion_tokens * 10) / 1e6


async def test_a_whole_answer_says_what_it_cost(client: openai.AsyncOpenAI) -> None:
    """In its usage and in a header, the same amount."""
    raw = await client.chat.completions.with_raw_response.create(**ASK)
    usage = raw.parse().usage
    assert usage is not None
    assert usage.model_dump()["cost"] == pytest.approx(usd(usage), abs=1e-12)
    assert float(raw.headers["x-streamroute-cost-usd"]) == usage.model_dump()["cost"]


async def test_a_stream_says_what_it_cost(client: openai.AsyncOpenAI) -> None:
    """In the usage at its end, where that was asked for; a header would come too early."""
    stream = await client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    usages = [chunk.usage for chunk in chunks if chunk.usage is not None]
    assert len(usages) == 1
    assert usages[0].model_dump()["cost"] == pytest.approx(usd(usages[0]), abs=1e-12)
    assert "x-streamroute-cost-usd" not in stream.response.headers
    async with client.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as helped:
        final = await helped.get_final_completion()
    assert final.usage is not None
    assert final.usage.model_dump()["cost"] == pytest.approx(usd(final.usage), abs=1e-12)


async def test_an_unknown_cost_is_null(client: openai.AsyncOpenAI) -> None:
    """Not zero; and the header is left out."""
    raw = await client.chat.completions.with_raw_response.create(**{**ASK, "model": "unpriced"})
    usage = raw.parse().usage
    assert usage is not None
    assert usage.model_dump()["cost"] is None
    assert "x-streamroute-cost-usd" not in raw.headers
