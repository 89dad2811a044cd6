"""`model = "auto"` with the official OpenAI SDK: requirements in, the right upstream out, on real sockets."""

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

NAMES = ("small", "middle", "large")
CONFIG = """
[upstreams.small]
provider = "small"
model = "model-small"
price = {{ input_per_mtok = 0.10, output_per_mtok = 0.40 }}
quality = {{ default = 0.80, code = 0.60 }}
capabilities = {{ context_tokens = 2000 }}

[upstreams.middle]
provider = "middle"
model = "model-middle"
price = {{ input_per_mtok = 1, output_per_mtok = 4 }}
quality = {{ default = 0.88, code = 0.93 }}

[upstreams.large]
provider = "large"
model = "model-large"
price = {{ input_per_mtok = 10, output_per_mtok = 40 }}
quality = 0.95

[routes.plain]
upstreams = ["small", "middle", "large"]
requirements = {{ min_quality = 0.85 }}

[routes.european]
upstreams = ["small", "middle", "large"]
requirements = {{ residency = "eu" }}
"""
Providers = dict[str, SimulationServer]


def provider_lines(name: str, base_url: str) -> str:
    region = 'residency = "EU"\n' if name == "middle" else ""
    return f'[providers.{name}]\nkind = "openai_compatible"\nbase_url = "{base_url}"\n{region}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def providers() -> AsyncIterator[Providers]:
    async with AsyncExitStack() as stack:
        profile = Profile(tpot_s=0.001, tokens=6)
        yield {name: await stack.enter_async_context(SimulationServer(profile=profile)) for name in NAMES}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(providers: Providers) -> AsyncIterator[openai.AsyncOpenAI]:
    tables = "".join(provider_lines(name, each.base_url) for name, each in providers.items())
    with ServeProcess(f"version = 1\n{tables}{CONFIG.format()}") as serve:
        async with openai.AsyncOpenAI(
            base_url=f"{serve.url}/v1", api_key="unused", timeout=10, max_retries=0
        ) as client:
            yield client


async def asked(
    client: openai.AsyncOpenAI, prompt: str = "Name three rivers.", *, model: str = "auto", **more: Any
) -> str:
    """Return whose model answered."""
    answer = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}], **more)
    return answer.model


async def refused(client: openai.AsyncOpenAI, needs: dict[str, Any], **more: Any) -> dict[str, Any]:
    with pytest.raises(openai.BadRequestError) as caught:
        await asked(client, extra_body={"streamroute": needs}, **more)
    body = caught.value.body
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    ("needs", "who"),
    [
        ({"min_quality": 0.75}, "small"),
        ({"min_quality": 0.85}, "middle"),
        ({"min_quality": 0.92}, "large"),
        ({"min_quality": 0.92, "domain": "code"}, "middle"),
        ({"min_quality": 0.92, "domain": "code", "policy": "quality"}, "large"),
        ({"min_quality": 0.85, "max_cost_usd": "0.10", "max_ttft_s": 5}, "middle"),
        ({"residency": "eu"}, "middle"),
        ({"policy": "economy"}, "small"),
        ({"policy": "quality"}, "large"),
        ({}, "middle"),
    ],
)
async def test_the_cheapest_that_is_good_enough(client: openai.AsyncOpenAI, needs: dict[str, Any], who: str) -> None:
    """Stating what is needed is enough; the price decides among those that have it."""
    assert await asked(client, extra_body={"streamroute": needs}) == f"model-{who}"


async def test_headers_come_before_the_body(client: openai.AsyncOpenAI) -> None:
    """Of each requirement the header is right, and of what it does not say, the body."""
    answered = await asked(
        client,
        extra_headers={"x-streamroute-min-quality": "0.9"},
        extra_body={"streamroute": {"min_quality": 0.1, "domain": "code"}},
    )
    assert answered == "model-middle"


async def test_a_question_about_code(client: openai.AsyncOpenAI) -> None:
    """What it is about is read out of it where nobody says."""
    prompt = "Why does this python function return nothing?\n```python\ndef f(x):\n    x + 1\n```"
    assert await asked(client, prompt, extra_body={"streamroute": {"min_quality": 0.75}}) == "model-middle"


async def test_a_prompt_that_is_too_long_for_the_small_one(client: openai.AsyncOpenAI) -> None:
    """It has room for 2000 tokens; these are more beyond doubt."""
    assert await asked(client, "word " * 8000, extra_body={"streamroute": {"min_quality": 0.5}}) == "model-middle"


async def test_nothing_of_it_reaches_the_provider(client: openai.AsyncOpenAI, providers: Providers) -> None:
    """Neither the object nor the headers."""
    await asked(
        client, extra_body={"streamroute": {"min_quality": 0.85}}, extra_headers={"x-streamroute-domain": "tax"}
    )
    record = providers["middle"].log[-1]
    assert "streamroute" not in record.body
    assert not [name for name in record.headers if "quality" in name.lower() or "domain" in name.lower()]


async def test_requirements_hold_on_ordinary_routes_too(client: openai.AsyncOpenAI) -> None:
    """The route's own, which a client may tighten and not loosen; the route's order decides among the rest."""
    assert await asked(client, model="plain") == "model-middle"
    assert await asked(client, model="plain", extra_body={"streamroute": {"min_quality": 0.1}}) == "model-middle"
    assert await asked(client, model="plain", extra_body={"streamroute": {"min_quality": 0.93}}) == "model-large"


async def test_a_route_that_stays_in_a_region(client: openai.AsyncOpenAI) -> None:
    """Whoever says nothing is held to it too; who asks for another region is told that it cannot be had here."""
    assert await asked(client, model="european") == "model-middle"
    assert await asked(client, model="european", extra_body={"streamroute": {"residency": "EU"}}) == "model-middle"
    error = await refused(client, {"residency": "us"}, model="european")
    assert error["code"] == "requirements_not_met"
    assert "to stay in us, but the route 'european' holds its requests to eu" in error["message"]


async def test_a_stream(client: openai.AsyncOpenAI) -> None:
    """It is matched like any other."""
    stream = await client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": "Name three rivers."}],
        stream=True,
        extra_body={"streamroute": {"min_quality": 0.93}},
    )
    assert {chunk.model async for chunk in stream} == {"model-large"}


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"min_quality": 0.97, "domain": "code"}, "Nobody offers quality 0.97 for code: the best is large with 0.95."),
        ({"max_cost_usd": "0.0001"}, "Nobody is sure to cost at most $0.0001: the cheapest is small"),
        ({"residency": "moon"}, "Nobody is known to keep data in moon; known are eu."),
        (
            {"min_quality": 0.94, "residency": "eu"},
            "Nobody meets all that is required at once (middle: quality 0.88 is below 0.94; large: where it keeps ",
        ),
    ],
)
async def test_what_nobody_meets(client: openai.AsyncOpenAI, needs: dict[str, Any], words: str) -> None:
    """It is refused, with what would do."""
    error = await refused(client, needs)
    assert error["code"] == "requirements_not_met"
    assert words in error["message"]


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ({"min_quality": 1.2}, "`streamroute.min_quality` must be a number from 0 to 1; found 1.2."),
        ({"min_quality": "good"}, "`streamroute.min_quality` must be a number from 0 to 1; found 'good'."),
        (
            {"max_cost_usd": 0},
            "max_cost_usd` must be an amount in US dollars above 0, to 1000000; found 0.",
        ),
        ({"max_ttft_s": True}, "must be a number of seconds above 0, to 86400; found a boolean."),
        ({"class": "urgent"}, "must be one of batch, standard, interactive, latency_critical; found 'urgent'."),
        ({"min_qality": 1}, "`streamroute` has no field `min_qality`; did you mean `min_quality`?"),
    ],
)
async def test_what_is_no_requirement(client: openai.AsyncOpenAI, needs: dict[str, Any], words: str) -> None:
    """The error names the field, its range and what was found."""
    assert words in (await refused(client, needs))["message"]


async def test_why(client: openai.AsyncOpenAI) -> None:
    """A dry run shows what was required, what the question is like, and who offered what."""
    response = await client.chat.completions.with_raw_response.create(
        model="auto",
        messages=[{"role": "user", "content": "Compare the two contracts and list what is better in each."}],
        extra_body={"streamroute": {"min_quality": 0.85, "max_cost_usd": 0.5}},
        extra_headers={"x-streamroute-explain": "1"},
    )
    document = orjson.loads(response.content)
    matched = document["matched"]
    assert matched["requirements"] == {"min_quality": 0.85, "max_cost_usd": "0.5"}
    assert matched["policy"]["name"] == "economy"
    assert (matched["features"]["domain"], matched["features"]["language"]) == ("general", "en")
    assert matched["features"]["comparison"] > 0
    assert [each["upstream"] for each in matched["bids"]] == ["middle", "large", "small"]
    assert matched["bids"][0]["quality"] == {"mean": 0.88, "sd": 0.0, "source": "configured"}
    assert matched["bids"][2]["shortfalls"] == ["quality 0.8 is below 0.85"]
    assert [each["upstream"] for each in document["candidates"]] == ["middle", "large"]
    assert "contracts" not in response.text


async def test_it_is_listed(client: openai.AsyncOpenAI) -> None:
    """Clients find it among the models."""
    assert [each.id async for each in client.models.list()] == ["plain", "european", "auto", *NAMES]


async def test_a_cap_counts_all_calls_of_a_request() -> None:
    """Of a race as many take part as the request may cost together."""
    price = "price = { input_per_mtok = 1, output_per_mtok = 1000 }"
    profile = Profile(ttft_s=0.2, tpot_s=0.001, tokens=6)
    async with SimulationServer(profile=profile) as first, SimulationServer(profile=profile) as second:
        tables = provider_lines("a", first.base_url) + provider_lines("b", second.base_url)
        upstreams = "".join(f'[upstreams.{n}]\nprovider = "{n}"\nmodel = "model-{n}"\n{price}\n' for n in "ab")
        route = '[routes.chat]\nupstreams = ["a", "b"]\nplan = "race"\n'
        with ServeProcess(f"version = 1\n{tables}{upstreams}{route}") as serve:
            async with openai.AsyncOpenAI(base_url=f"{serve.url}/v1", api_key="unused", max_retries=0) as sdk:
                # A call is $0.1 for 100 tokens of answer, and a bit for the prompt.
                assert await text_of(sdk, "0.15") != ""
                assert (len(first.log), len(second.log)) == (1, 0)
                assert await text_of(sdk, "0.25") != ""
                assert (len(first.log), len(second.log)) == (2, 1)


async def text_of(sdk: openai.AsyncOpenAI, cap_usd: str) -> str:
    stream = await sdk.chat.completions.create(
        model="chat",
        messages=[{"role": "user", "content": "Name three rivers."}],
        max_tokens=100,
        stream=True,
        extra_body={"streamroute": {"max_cost_usd": cap_usd}},
    )
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
