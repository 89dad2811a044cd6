"""`[routing] log`: a line for each request and each judgement, without a word of it, and read back as it was."""

import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streamroute.app import App
from streamroute.config.load import load_config
from streamroute.core.money import money
from streamroute.core.routing.explain_match import explain_requirements
from streamroute.core.routing.recorded import RecordedDecision, RecordedOutcome
from streamroute.errors import ConfigError
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.wire.routing_log import LineError, read_line
from tests.support.serve_process import provider_table

PRICE = "price = { input_per_mtok = 1, output_per_mtok = 2 }\n"
SECRET = "a word that nobody else says"


@asynccontextmanager
async def office(folder: Path, *, routing: str = 'log = "logs/routing.jsonl"') -> AsyncIterator[tuple[App, Any]]:
    """Open a sidecar with two upstreams that share a balanced route, and `auto`."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(SimulationServer(None, profile=Profile(tokens=4)))
        file = folder / "config.toml"
        file.write_text(
            f'version = 1\n[ledger]\nurl = "off"\n{provider_table("a", provider.base_url)}{PRICE}quality = 0.8\n'
            f"{provider_table('b', provider.base_url)}{PRICE}"
            f'[routes.chat]\nupstreams = ["a", "b"]\nsteering = "balanced"\nplan = "failover"\n[routing]\n{routing}\n'
        )
        config = load_config(file, environ={}, overrides={"server.listen": "127.0.0.1:0"})
        app = await stack.enter_async_context(App(config, rng=random.Random(3)))
        yield app, await stack.enter_async_context(aiohttp.ClientSession(app.url))


async def asked(session: aiohttp.ClientSession, **more: object) -> str:
    body = {"model": "chat", "messages": [{"role": "user", "content": SECRET}], **more}
    async with session.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
        return response.headers["x-streamroute-decision-id"]


async def test_a_workload_is_written_and_read_back(tmp_path: Path) -> None:
    """What was decided by what, what came of it, and what was said afterwards; nothing of the prompt or the answer."""
    async with office(tmp_path) as (_, session):
        ids = [await asked(session, metadata={"task": "mail"}), await asked(session, stream=True, max_tokens=4)]
        needs = {"min_quality": 0.5, "domain": "law", "max_cost_usd": "0.5"}
        ids.append(await asked(session, model="auto", streamroute=needs))
        async with session.post("/v1/feedback", json={"decision_id": ids[2], "score": 0.5}) as response:
            assert response.status == 200
    text = (tmp_path / "logs" / "routing.jsonl").read_bytes()
    assert SECRET.encode() not in text
    read = [read_line(line) for line in text.splitlines()]
    assert all(each is not None for each in read)
    one, two, three = (each for each in read if isinstance(each, RecordedDecision))
    assert [one.id, two.id, three.id] == ids
    assert (one.route, one.task, one.outcome, one.calls, len(one.candidates)) == ("chat", "mail", "succeeded", 1, 2)
    assert (one.propensity, one.answered_by, one.chosen) == (0.5, one.chosen, one.candidates[0].upstream)
    assert (one.output_tokens, one.cost) == (4, money(one_cost(one)))
    assert (two.request.stream, two.request.max_output_tokens, two.ttft_s is not None) == (True, 4, True)
    assert explain_requirements(three.requirements) == needs
    assert (one.features, three.features is not None and three.features.domain) == (None, "law")
    assert (three.domain, three.candidates[0].predicted) == ("law", 0.8)
    [said] = [each for each in read if isinstance(each, RecordedOutcome)]
    assert (said.id, said.upstream, said.source, said.score, said.weight) == (ids[2], "a", "feedback", 0.5, 1.0)


def one_cost(decision: RecordedDecision) -> Decimal:
    return (Decimal(decision.input_tokens) + 2 * decision.output_tokens) / 10**6


async def test_off_by_default(tmp_path: Path) -> None:
    """No file, and nothing of requests is kept in memory for it."""
    async with office(tmp_path, routing="") as (app, session):
        id_ = await asked(session)
        record = app.dispatcher.decisions.get(id_)
        assert record is not None
        assert record.request is None
        async with session.get("/status") as response:
            assert (await response.json())["routing"]["files"] == {"state": None, "log": None}
    assert os.listdir(tmp_path) == ["config.toml"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "no line of a routing log"),
        (b'{"kind": "decision", "version": 2}', "its version is 2"),
        (b'{"kind": "outcome", "version": 1, "id": "x"}', "`upstream` must be text; found nothing"),
        (
            b'{"kind": "outcome", "version": 1, "id": "x", "upstream": "a", "source": "x"}',
            "`source` must be one of feedback",
        ),
        (
            b'{"kind": "outcome", "version": 1, "id": "x", "upstream": "a", "source": "audit", "score": 2}',
            "`score` must be a number from 0 to 1; found 2",
        ),
        (b'{"kind": "decision", "version": 1, "request": {}}', "`candidates` must be a list of objects"),
        (b'{"kind": "decision", "version": 1, "request": {}, "candidates": [{}]}', "`candidates[0]."),
    ],
)
def test_lines_that_are_none(line: bytes, words: str) -> None:
    """Each says which field, and what it should be."""
    with pytest.raises(LineError) as raised:
        read_line(line)
    assert words in str(raised.value)


def test_settings_are_checked(tmp_path: Path) -> None:
    """By name, with the range."""
    file = tmp_path / "config.toml"
    file.write_text(f'version = 1\n{provider_table("a", "http://127.0.0.1:1")}[routing]\nlog_max_mb = 0\nlogg = "x"\n')
    with pytest.raises(ConfigError) as raised:
        load_config(file, environ={})
    words = "\n".join(str(each) for each in raised.value.problems)
    assert "log_max_mb" in words
    assert 'did you mean "log"' in words


def test_an_empty_line_is_passed_over() -> None:
    """As editors leave one."""
    assert read_line(b"  \n") is None
