"""What must never be seen: keys by anyone; prompts and answers in logs, `/status` and `/metrics`."""

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import aiohttp
import openai

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, StreamError
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.serve_process import ServeProcess, provider_table

KEY = "sk-canary-3f9a61c0d7b24e58"
UNGUESSABLE_KEY = "canaryKEYof0urOwn77aa91"
"""No pattern would tell it from a word: servers of one's own take any key."""
CLIENT_KEY = "client-canary-51c2"
WRONG_KEY = "wrong-canary-9d77"
PROMPT = "My canary prompt is zanzibar-4411."
CANARY = "zanzibar"
TOKENS = 12
ANSWER = expected_text(PROMPT, TOKENS)
ECHOING: Mapping[str, ErrorStatus | StreamError] = {
    "unauthorized": ErrorStatus(status=401, message="Incorrect API key provided: {key}. See your account."),
    "forbidden": ErrorStatus(status=403, message="Bearer {key} may not do this."),
    "refusing": ErrorStatus(status=400, message=f"Cannot process {PROMPT!r} with key {{key}}."),
    "breaking": ErrorStatus(status=500, message="The worker for {key} died."),
    "erring": StreamError(at_token=2, message="Lost the worker for {key}."),
}
"""Upstreams that repeat the key they were sent; the one whose complaint is about the request repeats that too."""
QUOTING: Mapping[str, Fault] = {
    "breaking": ErrorStatus(status=500, message=f"The worker died at {PROMPT!r}."),
    "texting": ErrorStatus(status=502, message=f"Bad gateway for {PROMPT}", body="text"),
    "early": StreamError(at_token=0, message=f"Lost at {PROMPT!r}."),
    "late": StreamError(at_token=2, message=f"Lost at {PROMPT!r}."),
}
"""Upstreams that quote the prompt where nothing is wrong with it."""


@dataclass(slots=True)
class Seen:
    """Everything that came out of the process."""

    by_clients: list[str] = field(default_factory=list)
    by_operators: dict[str, str] = field(default_factory=dict)


async def _observe(faults: Mapping[str, Fault], *, key: str) -> Seen:
    """Ask each upstream, and a route that is rescued from all of them, with the right client key and a wrong one."""
    seen = Seen()
    phases = [Phase(fault=fault, model=f"model-{name}") for name, fault in faults.items()]
    async with SimulationServer(Script(profile=Profile(tokens=TOKENS, tpot_s=0.001), phases=phases)) as provider:
        env = {"LAB_KEY": key, "CLIENT_KEY": CLIENT_KEY}
        with ServeProcess(_config(provider, list(faults)), env=env) as serve:
            for given in (CLIENT_KEY, WRONG_KEY):
                async with openai.AsyncOpenAI(base_url=serve.url, api_key=given, timeout=10, max_retries=0) as client:
                    for name in ("rescued", "well", *(f"only-{name}" for name in faults)):
                        for stream in (True, False):
                            seen.by_clients.append(await _ask(client, name, stream=stream))
            async with aiohttp.ClientSession(headers={"authorization": f"Bearer {CLIENT_KEY}"}) as session:
                for path in ("/status", "/metrics", "/readyz?verbose", "/v1/models"):
                    async with session.get(f"{serve.url}{path}") as response:
                        assert response.status == 200
                        seen.by_operators[path] = await response.text()
            serve.signal(signal.SIGTERM)
            await asyncio.to_thread(serve.wait, 5)
            seen.by_operators["stderr"] = serve.stderr
        assert all(record.was_authorized_by(key) for record in provider.log)
        assert {record.model for record in provider.log} >= {f"model-{name}" for name in faults}
    assert "attempt.failed" in serve.stderr, "the log is on"
    assert any(text == ANSWER for text in seen.by_clients), "the rescued answer arrives"
    return seen


def _config(provider: SimulationServer, faulty: list[str]) -> str:
    tables = ['version = 1\n[log]\nlevel = "debug"\n[server]\napi_keys = ["${CLIENT_KEY}"]\n']
    tables += [provider_table(name, provider.base_url, more='api_key = "${LAB_KEY}"') for name in ("well", *faulty)]
    tables += [f'[routes.only-{name}]\nupstreams = ["{name}"]\nretry = {{ backoff_s = 0 }}' for name in faulty]
    rescued = [name for name in faulty if name not in {"refusing", "erring", "late", "cutting"}]
    tables.append(f"[routes.rescued]\nupstreams = {[*rescued, 'well']}")
    return "\n".join(tables)


async def _ask(client: openai.AsyncOpenAI, model: str, *, stream: bool) -> str:
    """Return all that a client sees: the text, or the error with its headers."""
    messages = [{"role": "user", "content": PROMPT}]
    text = ""
    try:
        if not stream:
            answer = await client.chat.completions.create(model=model, messages=messages)
            return answer.choices[0].message.content
        async for chunk in await client.chat.completions.create(model=model, messages=messages, stream=True):
            text += chunk.choices[0].delta.content or ""
    except openai.APIStatusError as error:
        text += f"{error.response.text} {error.response.headers}"
    except openai.APIError as error:
        text += f"{error.message} {error.body}"
    return text


def _assert_no_key(seen: Seen, key: str) -> None:
    for place, text in [*(("a client's reply", reply) for reply in seen.by_clients), *seen.by_operators.items()]:
        for secret in (key, CLIENT_KEY, WRONG_KEY):
            assert not _around(text, secret), f"{secret} is in {place}"


def _assert_no_content(seen: Seen) -> None:
    for place, text in seen.by_operators.items():
        for secret in (CANARY, *ANSWER.split()):
            assert not _around(text, secret), f"{secret} is in {place}"


def _around(text: str, secret: str) -> str:
    """Return the surroundings of the secret, empty where it is not there."""
    at = text.find(secret)
    return text[max(0, at - 200) : at + 60] if at >= 0 else ""


def _echoing(key: str) -> dict[str, Fault]:
    echoing = {name: replace(fault, message=(fault.message or "").format(key=key)) for name, fault in ECHOING.items()}
    return {**echoing, "cutting": Cut(at_token=4)}


async def test_neither_keys_nor_content_are_seen() -> None:
    """With the log at debug and providers that repeat what they were sent, no key and no text gets out."""
    seen = await _observe(_echoing(KEY), key=KEY)
    _assert_no_key(seen, KEY)
    _assert_no_content(seen)


async def test_a_key_without_the_looks_of_one_is_not_seen() -> None:
    """The key that was sent is recognised in a provider's words whatever it looks like."""
    _assert_no_key(await _observe(_echoing(UNGUESSABLE_KEY), key=UNGUESSABLE_KEY), UNGUESSABLE_KEY)


async def test_a_prompt_quoted_by_a_broken_provider_is_not_logged() -> None:
    """A provider that quotes the prompt in a 500 or in an error event puts it into no log and no `/status`."""
    _assert_no_content(await _observe(QUOTING, key=KEY))
