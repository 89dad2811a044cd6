"""Two real llama.cpp servers as tiers: log-probabilities, gate, escalation, one clean stream, a ledger of both legs.

Both run the same small model, so the answer of one is the oracle for what the client must get from the other.
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import openai
import pytest

from streamroute.app import App
from streamroute.stores.usage import read_usage
from tests.support.local_llm import LocalLlm, asked_through, started_pair

pytestmark = pytest.mark.llm

CONFIG = """
version = 1
[ledger]
url = "sqlite:///{folder}/ledger.db"
[providers.first]
kind = "llama_cpp"
base_url = "{first}"
[providers.second]
kind = "llama_cpp"
base_url = "{second}"
[upstreams.small]
provider = "first"
model = "smollm2"
capabilities = {{ logprobs = true }}
price = {{ input_per_mtok = 1, output_per_mtok = 2 }}
[upstreams.large]
provider = "second"
model = "smollm2"
price = {{ input_per_mtok = 10, output_per_mtok = 20 }}
[routes.chat]
tiers = [["small"], ["large"]]
accept_at = {accept_at}
deadlines = {{ first_token_s = 10.0, headers_s = 5.0 }}
"""
QUESTION = "Name three rivers and say where each of them ends."


@pytest.fixture
def pair() -> Iterator[tuple[LocalLlm, LocalLlm]]:
    with started_pair() as pair:
        yield pair


def sidecar(
    pair: tuple[LocalLlm, LocalLlm], folder: Path, accept_at: float
) -> AbstractAsyncContextManager[tuple[App, openai.AsyncOpenAI]]:
    return asked_through(
        CONFIG.format(first=pair[0].base_url, second=pair[1].base_url, folder=folder, accept_at=accept_at), folder
    )


async def ask(client: openai.AsyncOpenAI, *, stream: bool) -> tuple[str, str]:
    """Return the text and the finish reason; no log-probabilities may be in it."""
    asked = {
        "model": "chat",
        "messages": [{"role": "user", "content": QUESTION}],
        "temperature": 0,
        "max_tokens": 400,
    }
    if not stream:
        whole = await client.chat.completions.create(**asked)  # type: ignore[call-overload]
        assert whole.choices[0].logprobs is None
        return whole.choices[0].message.content, whole.choices[0].finish_reason
    text, reason = "", ""
    async for chunk in await client.chat.completions.create(**asked, stream=True):  # type: ignore[call-overload]
        for choice in chunk.choices:
            assert choice.logprobs is None
            text += choice.delta.content or ""
            reason = choice.finish_reason or reason
    return text, reason


@pytest.mark.parametrize("stream", [True, False])
async def test_the_gate(pair: tuple[LocalLlm, LocalLlm], tmp_path: Path, stream: bool) -> None:
    """With a low bar the small model's answer is delivered, with a high one the large model's: the same clean text."""
    found = {}
    for name, accept_at in (("low", 0.01), ("high", 1.0)):
        folder = tmp_path / name
        folder.mkdir()
        async with sidecar(pair, folder, accept_at) as (app, client):
            found[name] = await ask(client, stream=stream)
            judged = [each for record in app.dispatcher.decisions.latest(1) for each in record.calls]
        assert "confidence" in str(judged), "the small model was asked how sure it was, and told"
        rows = read_usage(f"sqlite:///{folder}/ledger.db", ["upstream"])
        assert {row.by[0]: row.attempts for row in rows if row.attempts} == (
            {"small": 1} if name == "low" else {"small": 1, "large": 1}
        )
    assert found["low"] == found["high"]
    assert found["low"][0]
