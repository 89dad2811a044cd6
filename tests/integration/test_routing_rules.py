"""Rules on real sockets, with the official OpenAI SDK: what an operator says is in force, and told."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import openai
import orjson
import pytest
import pytest_asyncio

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.serve_process import ServeProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIG = """
[routes.chat]
upstreams = ["small", "large"]

[routes.lonely]
upstreams = ["apart"]

[routes.steps]
tiers = [["small"], ["large"]]

[[routing.rules]]
name = "law"
when = { domain = "law", tokens = { min = 10 } }
then = { min_quality = 0.9 }

[[routing.rules]]
name = "night jobs"
when = { task = ["nightly", "batch"] }
then = { prefer = ["large"], latency_class = "batch" }

[[routing.rules]]
name = "lab"
when = { team = "lab", route = "chat" }
then = { route = "lonely" }

[[routing.rules]]
name = "hard steps"
when = { route = "steps", code = true }
then = { tier = 2 }

[[routing.rules]]
name = "no large for guests"
when = { team = "guests" }
then = { avoid = ["large"] }
"""
LAW = "Which clause of the contract limits liability, and did the court say why the plaintiff lost the appeal?"
CODE = "Explain this:\n```python\ndef f(x):\n    return x\n```"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    async with AsyncExitStack() as stack:
        text = "version = 1\n"
        for name, quality in (("small", 0.7), ("large", 0.95), ("apart", 0.5)):
            provider = await stack.enter_async_context(SimulationServer(profile=Profile(tpot_s=0.001, tokens=6)))
            text += (
                f'[providers.{name}]\nkind = "openai_compatible"\nbase_url = "{provider.base_url}"\n'
                f'[upstreams.{name}]\nprovider = "{name}"\nmodel = "model-{name}"\nquality = {quality}\n'
            )
        serve = stack.enter_context(ServeProcess(text + CONFIG))
        yield await stack.enter_async_context(
            openai.AsyncOpenAI(base_url=f"{serve.url}/v1", api_key="unused", timeout=10, max_retries=0)
        )


async def asked(client: openai.AsyncOpenAI, prompt: str, model: str = "chat", **headers: str) -> str:
    answer = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": prompt}],
        extra_headers={f"x-streamroute-{name}": value for name, value in headers.items()},
    )
    return answer.model.removeprefix("model-")


async def decided(client: openai.AsyncOpenAI, prompt: str, model: str = "chat", **headers: str) -> dict[str, Any]:
    response = await client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": prompt}],
        extra_headers={
            "x-streamroute-explain": "1",
            **{f"x-streamroute-{name}": each for name, each in headers.items()},
        },
    )
    document: dict[str, Any] = orjson.loads(response.content)
    return document


async def test_by_what_the_question_is(client: openai.AsyncOpenAI) -> None:
    """A question of law needs more quality than the first upstream of the route has."""
    assert await asked(client, "Hello there.") == "small"
    assert await asked(client, LAW) == "large"
    document = await decided(client, LAW)
    assert document["matched"]["rules"] == ["law"]
    assert document["matched"]["features"]["domain"] == "law"
    assert document["rejected"] == [{"upstream": "small", "reason": "quality 0.7 is below 0.9"}]


async def test_by_what_comes_with_it(client: openai.AsyncOpenAI) -> None:
    """Task and team: whom they prefer, which class, which route."""
    assert await asked(client, "Hello there.", task="nightly") == "large"
    document = await decided(client, "Hello there.", task="nightly")
    assert (document["latency_class"], document["plan"]) == ("batch", "failover")
    assert await asked(client, "Hello there.", team="lab") == "apart"
    assert await asked(client, "Hello there.", model="small", team="lab") == "small"


async def test_where_tiers_begin(client: openai.AsyncOpenAI) -> None:
    """A question that is known to be hard is not tried on the small model."""
    assert (await decided(client, "Hello there.", model="steps"))["next_tier"] is not None
    document = await decided(client, CODE, model="steps")
    assert (document["next_tier"], [each["upstream"] for each in document["candidates"]]) == (None, ["large"])


async def test_a_rule_that_leaves_nobody(client: openai.AsyncOpenAI) -> None:
    """The error says which rule it was."""
    with pytest.raises(
        openai.BadRequestError,
        match=r'Nobody meets what is required \(large: rule "no large for guests" leaves it out\)',
    ):
        await asked(client, "Hello there.", model="large", team="guests")
    assert await asked(client, "Hello there.", team="guests") == "small"
