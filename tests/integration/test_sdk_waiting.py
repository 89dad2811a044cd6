"""The OpenAI SDK while nothing comes: keep-alive comments are invisible to it, and giving up reaches the provider."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest
from openai import AsyncOpenAI

from streamroute.core.upstream import Deadlines
from streamroute.server.options import ServerOptions
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, NoResponse, SlowFirstToken, Stall
from tests.support.rig import PROMPT, Rig

ASK = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}]}
PATIENT = Deadlines(headers_s=5.0, first_token_s=5.0, stall_s=5.0)


@asynccontextmanager
async def waiting(*faults: Fault | None, deadlines: Deadlines = PATIENT) -> AsyncIterator[tuple[Rig, AsyncOpenAI]]:
    """A sidecar that sends a comment after 30 ms of silence, and the SDK pointed at it."""
    async with (
        Rig.of(*faults, server=ServerOptions(keepalive_s=0.03), deadlines=deadlines) as rig,
        AsyncOpenAI(base_url=f"{rig.app.url}/v1", api_key="unused", timeout=10) as client,
    ):
        yield rig, client


@pytest.mark.parametrize(
    "fault", [SlowFirstToken(ttft_s=0.15), Stall(at_token=4, for_s=0.15)], ids=["before", "between"]
)
async def test_comments_are_ignored(fault: Fault) -> None:
    """The SDK reads a stream with comments before and between its tokens as if there were none."""
    async with waiting(fault) as (rig, client):
        stream = await client.chat.completions.create(**ASK, stream=True)
        chunks = [chunk async for chunk in stream]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == rig.expected_text
        assert chunks[-1].choices[0].finish_reason == "stop"


async def test_failure_after_comments_raises() -> None:
    """When the head had to go out before anyone answered, a total failure still is an exception."""
    quick = Deadlines(headers_s=0.15, first_token_s=0.2)
    async with waiting(NoResponse(), Cut(at_token=0), deadlines=quick) as (rig, client):
        stream = await client.chat.completions.create(**ASK, stream=True)
        with pytest.raises(openai.APIError) as caught:
            await anext(aiter(stream))
        assert not isinstance(caught.value, openai.APIConnectionError), "our words, not a broken connection"
        assert "Tried 2" in caught.value.message
        assert rig.requests == [1, 1]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_giving_up_reaches_the_provider(stream: bool) -> None:
    """A client that gives up while it waits ends the provider's request within 100 ms; nobody else is asked."""
    async with waiting(NoResponse(), None) as (rig, client):
        provider, loop = rig.providers[0], asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(_read(client, stream=stream))
            await provider.wait_until(lambda: provider.in_flight == 1)
            left_at = loop.time()
            asking.cancel()
        await rig.settled()
        closed_at = provider.log[0].client_closed_at
        assert closed_at is not None
        assert closed_at - left_at < 0.1
        assert rig.requests == [1, 0]
        assert rig.in_flight() == [0, 0]


async def _read(client: AsyncOpenAI, *, stream: bool) -> None:
    answer = await client.chat.completions.create(**ASK, stream=stream)
    if stream:
        async for _ in answer:
            pass
