"""Real llama.cpp servers, the official SDK: the one that is answering is killed, or frozen, at a random token.

At temperature 0 both servers give the same text, so the undisturbed answer is the oracle: what the client reads must be
that, byte for byte, every time.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.local_llm import LocalLlm, asked_through, skip_unless_fetched, started_pair

pytestmark = [pytest.mark.llm, pytest.mark.timeout(900)]

TIMES = 50
TOKENS = 32
QUESTIONS = (
    "Name three rivers and say where each of them ends.",
    "Explain why the sky is blue in a few sentences.",
    "Write a short story about a lighthouse.",
    "List the steps to brew a pot of tea.",
    "What is the capital of France, and what is it known for?",
)
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
plan = "failover"
deadlines = {{ first_token_s = 8.0, headers_s = 2.0, stall_s = 1.0 }}
"""


@pytest.fixture
def second() -> Iterator[LocalLlm]:
    """The one that lives."""
    skip_unless_fetched()
    with LocalLlm() as server:
        yield server


async def answer(
    pair: tuple[LocalLlm, LocalLlm], folder: Path, question: str, *, at_token: int, strike: Callable[[], None]
) -> tuple[str, str | None, int]:
    """Ask through a sidecar that has seen nothing yet, and strike when so many tokens have arrived.

    Returns the text, the finish reason, and how many tokens had come from the first server.
    """
    config = CONFIG.format(first=pair[0].base_url, second=pair[1].base_url)
    async with asyncio.timeout(30), asked_through(config, folder) as (_, client):
        stream = await client.chat.completions.create(
            model="chat",
            messages=[{"role": "user", "content": question}],
            temperature=0,
            max_tokens=TOKENS,
            stream=True,
        )
        text, reason, tokens = "", None, 0
        async for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reason = choice.finish_reason or reason
                tokens += bool(choice.delta.content)
                if tokens == at_token:
                    strike()
    return text, reason, tokens


def nothing() -> None:
    """Strike nobody."""


async def undisturbed(pair: tuple[LocalLlm, LocalLlm], folder: Path) -> dict[str, str]:
    """Return what each question is answered when nobody is struck."""
    return {each: (await answer(pair, folder, each, at_token=0, strike=nothing))[0] for each in QUESTIONS}


async def test_killed_at_a_random_token(second: LocalLlm, tmp_path: Path) -> None:
    """SIGKILL in mid-answer: the other one carries on, and the client cannot tell."""
    rng = random.Random(11)
    oracle: dict[str, str] = {}
    for turn in range(TIMES):
        with LocalLlm() as first:
            if not oracle:
                oracle = await undisturbed((first, second), tmp_path)
            question, at_token = QUESTIONS[turn % len(QUESTIONS)], rng.randint(1, TOKENS - 4)
            text, reason, _ = await answer((first, second), tmp_path, question, at_token=at_token, strike=first.kill)
            assert text == oracle[question], f"turn {turn}: killed at token {at_token}"
            assert reason in {"stop", "length"}


async def test_frozen_at_a_random_token(tmp_path: Path) -> None:
    """SIGSTOP in mid-answer: the connection stays open and silent; the other one carries on."""
    rng = random.Random(12)
    with started_pair() as pair:
        oracle = await undisturbed(pair, tmp_path)
        for turn in range(TIMES):
            question, at_token = QUESTIONS[turn % len(QUESTIONS)], rng.randint(1, TOKENS - 4)
            text, reason, _ = await answer(pair, tmp_path, question, at_token=at_token, strike=pair[0].pause)
            pair[0].resume()
            assert text == oracle[question], f"turn {turn}: frozen at token {at_token}"
            assert reason in {"stop", "length"}
