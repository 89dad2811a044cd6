"""Two real llama.cpp servers behind the sidecar, the official SDK in front; one of them dies or freezes.

At temperature 0 both give the same text, so the undisturbed answer is the oracle.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import openai
import pytest

from streamroute.app import App
from tests.support.local_llm import LocalLlm, asked_through, started_pair

pytestmark = pytest.mark.llm

CONFIG = """
version = 1
[providers.first]
kind = "llama_cpp"
base_url = "{first}"
[providers.second]
kind = "llama_cpp"
base_url = "{second}"
[upstreams.first]
provider = "first"
model = "smollm2"
[upstreams.second]
provider = "second"
model = "smollm2"
[routes.chat]
upstreams = ["first", "second"]
deadlines = {{ first_token_s = 5.0, headers_s = 1.0 }}
"""
QUESTION = "Name three rivers and say where each of them ends."


@pytest.fixture
def pair() -> Iterator[tuple[LocalLlm, LocalLlm]]:
    with started_pair() as pair:
        yield pair


def sidecar(
    pair: tuple[LocalLlm, LocalLlm], folder: Path
) -> AbstractAsyncContextManager[tuple[App, openai.AsyncOpenAI]]:
    return asked_through(CONFIG.format(first=pair[0].base_url, second=pair[1].base_url), folder)


async def ask(client: openai.AsyncOpenAI) -> tuple[str, str, str]:
    """Return the streamed text, who answered, and the finish reason."""
    response = await client.chat.completions.with_raw_response.create(
        model="chat",
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0,
        max_tokens=40,
        stream=True,
    )
    text, reason = "", ""
    async for chunk in response.parse():
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return text, response.headers["x-streamroute-upstream"], reason


async def test_killed_before_its_first_token(pair: tuple[LocalLlm, LocalLlm], tmp_path: Path) -> None:
    """SIGKILL while the answer is awaited: it arrives whole from the other server, byte for byte the same."""
    async with asyncio.timeout(50), sidecar(pair, tmp_path) as (app, client):
        undisturbed, upstream, reason = await ask(client)
        assert (upstream, reason) == ("first", "length")
        pair[0].pause()  # so that it cannot answer before it is killed
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(client))
            while app.dispatcher.in_flight == 0:  # noqa: ASYNC110 - it arrives over a real socket
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
            pair[0].kill()
        assert asking.result() == (undisturbed, "second", "length")


async def test_frozen_before_its_first_token(pair: tuple[LocalLlm, LocalLlm], tmp_path: Path) -> None:
    """SIGSTOP: the connection is accepted and nothing comes; the header deadline moves the request on."""
    async with asyncio.timeout(50), sidecar(pair, tmp_path) as (_, client):
        undisturbed, _, _ = await ask(client)
        pair[0].pause()
        assert await ask(client) == (undisturbed, "second", "length")


async def test_dead_from_the_start(pair: tuple[LocalLlm, LocalLlm], tmp_path: Path) -> None:
    """A refused connection costs nothing but the moment it takes."""
    async with asyncio.timeout(50), sidecar(pair, tmp_path) as (_, client):
        undisturbed, _, _ = await ask(client)
        pair[0].kill()
        assert await ask(client) == (undisturbed, "second", "length")
