"""What must never be seen: keys anywhere, prompts and answers in logs, `/status` and `/metrics`."""

import asyncio
import dataclasses
import signal
from collections.abc import AsyncIterator

import aiohttp
import openai
import pytest
import pytest_asyncio

from streamroute.simulation.faults import Cut, ErrorStatus, StreamError
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.serve_process import ServeProcess, provider_table

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = {"sk-shaped": "sk-canary-3f9a61c0d7b24e58", "plain": "canaryKEYof0urOwn77aa91"}
"""One that looks like a key, and one that no pattern would tell from a word."""
CLIENT_KEY = "client-canary-51c2"
PROMPT = "My canary prompt is zanzibar-4411."
TOKENS = 12
ANSWER = expected_text(PROMPT, TOKENS)
FAULTS = {
    "unauthorized": ErrorStatus(status=401, message="Incorrect API key provided: {key}. See your account."),
    "refusing": ErrorStatus(status=400, message=f"Cannot process {PROMPT!r} with key {{key}}."),
    "breaking": ErrorStatus(status=500, message=f"Worker died at {PROMPT!r} with key {{key}}.", body="openai"),
    "texting": ErrorStatus(status=502, message=f"Bad gateway: {PROMPT} {{key}}", body="text"),
    "erring": StreamError(at_token=2, message=f"Lost at {PROMPT!r}, key {{key}}"),
    "early": StreamError(at_token=0, message=f"Lost at {PROMPT!r}, key {{key}}"),
    "cutting": Cut(at_token=4),
}
"""Upstreams that quote what they were sent, each kind of key in their messages."""


def _script(key: str) -> Script:
    phases = []
    for name, fault in FAULTS.items():
        message = getattr(fault, "message", None)
        told = fault if message is None else dataclasses.replace(fault, message=message.replace("{key}", key))
        phases.append(Phase(fault=told, model=f"model-{name}"))
    return Script(profile=Profile(tokens=TOKENS, tpot_s=0.001), phases=phases)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(KEYS))
async def key(request: pytest.FixtureRequest) -> str:
    return KEYS[request.param]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider(key: str) -> AsyncIterator[SimulationServer]:
    async with SimulationServer(_script(key)) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serve(provider: SimulationServer, key: str) -> AsyncIterator[ServeProcess]:
    tables = ['version = 1\n[log]\nlevel = "debug"\n[server]\napi_keys = ["${CLIENT_KEY}"]\n']
    for name in ("well", *FAULTS):
        tables.append(provider_table(name, provider.base_url, more='api_key = "${LAB_KEY}"'))
    tables.append('[routes.rescued]\nupstreams = ["breaking", "early", "texting", "unauthorized", "well"]')
    with ServeProcess("\n".join(tables), env={"LAB_KEY": key, "CLIENT_KEY": CLIENT_KEY}) as process:
        yield process


async def _ask(client: openai.AsyncOpenAI, model: str, *, stream: bool) -> str:
    """Return all that the client sees: text, or the words of the error."""
    messages = [{"role": "user", "content": PROMPT}]
    seen = ""
    try:
        if not stream:
            answer = await client.chat.completions.create(model=model, messages=messages)
            return answer.to_json()
        async for chunk in await client.chat.completions.create(model=model, messages=messages, stream=True):
            seen += chunk.choices[0].delta.content or ""
    except openai.APIStatusError as error:
        seen += f"{error.response.text} {error.response.headers}"
    except openai.APIError as error:
        seen += f"{error.message} {error.body}"
    return seen


async def test_nothing_leaks(serve: ServeProcess, provider: SimulationServer, key: str) -> None:
    """No key is ever seen by anyone, and neither prompt nor answer by an operator, whatever providers quote."""
    seen = []
    for given in (CLIENT_KEY, "wrong-client-key-9d"):
        async with openai.AsyncOpenAI(base_url=serve.url, api_key=given, timeout=10, max_retries=0) as client:
            for model in ("rescued", "well", *FAULTS):
                seen += [await _ask(client, model, stream=stream) for stream in (False, True)]
    headers = {"authorization": f"Bearer {CLIENT_KEY}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        operators = []
        for path in ("/status", "/metrics", "/readyz?verbose"):
            async with session.get(f"{serve.url}{path}") as response:
                assert response.status == 200
                operators.append(await response.text())
    serve.signal(signal.SIGTERM)
    await asyncio.to_thread(serve.wait, 5)
    operators.append(serve.stderr)
    assert provider.log[0].was_authorized_by(key)
    assert "attempt.failed" in serve.stderr
    assert any(ANSWER in text for text in seen), "the rescued answer arrives"
    for place, text in zip(("/status", "/metrics", "/readyz", "stderr"), operators, strict=True):
        for secret in (key, CLIENT_KEY, "wrong-client-key-9d", "zanzibar", *ANSWER.split()[:4]):
            assert secret not in text, f"{secret} is in {place}: {_around(text, secret)}"
    for text in seen:
        for secret in (key, CLIENT_KEY, "wrong-client-key-9d"):
            assert secret not in text, f"a client sees {secret}: {_around(text, secret)}"


def _around(text: str, secret: str) -> str:
    at = text.index(secret)
    return text[max(0, at - 300) : at + 100]
