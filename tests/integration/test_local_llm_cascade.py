"""Two real llama.cpp servers as tiers: log-probabilities, gate, escalation, one clean stream, a ledger of all legs;
agreement with a second model, and an audit of what was delivered.

Both run the same small model, so the answer of one is the oracle for what the client must get from the other.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import numpy as np
import openai
import pytest

from streamroute.app import App
from streamroute.core.cost.report import UsageQuery, usage_rows
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.routing.decision_log import Made
from streamroute.core.routing.learned.gate_features import GATE_FEATURES
from streamroute.core.routing.learned.gatekeeper import Look
from streamroute.stores.usage import read_lines, read_usage
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


CHECKED = """
[upstreams.second]
provider = "second"
model = "smollm2"
price = {{ input_per_mtok = 2, output_per_mtok = 4 }}
[routes.checked]
tiers = [["small"], ["large"]]
accept_at = 0.01
assess = ["agreement"]
agree_with = "second"
audit = {{ share = 1.0, max_usd_per_day = 1 }}
deadlines = {{ first_token_s = 10.0, headers_s = 5.0 }}
"""
SCHEMA = {"type": "object", "properties": {"legs": {"type": "integer"}}, "required": ["legs"]}


async def test_agreement_and_an_audit(pair: tuple[LocalLlm, LocalLlm], tmp_path: Path) -> None:
    """Both servers run the same model, so they agree: the small answer is delivered as a stream, and the audit that
    follows finds nothing. Each call is on the ledger as what it is."""
    config = (CONFIG + CHECKED).format(first=pair[0].base_url, second=pair[1].base_url, folder=tmp_path, accept_at=0.01)
    async with asked_through(config, tmp_path) as (app, client):
        gate = app.dispatcher.gates.of(app.config.routes["checked"])
        for _ in range(120):  # else the domain is new, and the large model's
            features = np.zeros(GATE_FEATURES)
            gate.keeper.learn(Look(tier=0, domain="general", features=features, margin=0.5, share=1.0, gain=0.0))
        heard = asyncio.Event()
        app.bus.subscribe(lambda found: heard.set() if isinstance(found, QualityOutcome) and is_audit(found) else None)
        text, usage = "", None
        async for chunk in await client.chat.completions.create(
            model="checked",
            messages=[{"role": "user", "content": "How many legs has a dog? Answer in JSON."}],
            response_format={"type": "json_schema", "json_schema": {"name": "legs", "schema": SCHEMA}},
            temperature=0,
            max_tokens=60,
            stream=True,
            stream_options={"include_usage": True},
        ):
            usage = chunk.usage or usage
            text += "".join(each.delta.content or "" for each in chunk.choices)
        async with asyncio.timeout(30):
            await heard.wait()
        audits = dict(gate.audits)
        [record] = app.dispatcher.decisions.latest(1)
    assert isinstance(json.loads(text)["legs"], int)
    assert audits == {"agrees": 1}
    made = [(each.observation.upstream, each.observation.cause) for each in record.calls if isinstance(each, Made)]
    assert made == [("small", "first"), ("second", "agreement"), ("large", "audit")]
    [row] = usage_rows(read_lines(f"sqlite:///{tmp_path}/ledger.db", UsageQuery(is_waste_told=True)))
    assert (row.requests, row.attempts) == (1, 3)
    assert row.wasted["agreement"] > 0 < row.wasted["audit"]
    assert usage is not None
    paid = row.cost - row.wasted["audit"]  # it was made afterwards
    assert usage.cost == pytest.approx(paid / 1e12)  # type: ignore[attr-defined]


def is_audit(outcome: QualityOutcome) -> bool:
    return outcome.source == "audit"
