"""A sidecar process that learns from what its clients say: across a restart, a kill, a broken file."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.command import run_command
from tests.support.serve_process import ServeProcess, provider_table

OUTCOMES = 60
PRICES = {
    "small": "price = { input_per_mtok = 0.1, output_per_mtok = 0.4 }\nquality = 0.85\n",
    "large": "price = { input_per_mtok = 4, output_per_mtok = 16 }\nquality = 0.9\n",
}


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[SimulationServer]:
    async with SimulationServer(None, profile=Profile(tokens=4)) as server:
        yield server


def config(folder: Path, provider: SimulationServer, *, mode: str = "hybrid") -> str:
    tables = "".join(f"{provider_table(name, provider.base_url)}{more}" for name, more in PRICES.items())
    return (
        f'version = 1\n[ledger]\nurl = "off"\n[log]\nformat = "json"\n{tables}'
        f'[routing]\nmode = "{mode}"\nstate = "{folder}/state.npz"\nsave_interval_s = 0.1\n'
    )


@asynccontextmanager
async def served(text: str) -> AsyncIterator[tuple[ServeProcess, aiohttp.ClientSession]]:
    serve = ServeProcess(text)
    await asyncio.to_thread(serve.__enter__)
    try:
        async with aiohttp.ClientSession(serve.url) as session:
            yield serve, session
    finally:
        await asyncio.to_thread(serve.__exit__, None, None, None)


async def asked(session: aiohttp.ClientSession, domain: str) -> tuple[str, str]:
    """Ask `auto` a question of a domain; return who answered, and the decision."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Is it so?"}], "streamroute": {"domain": domain}}
    async with session.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
        return response.headers["x-streamroute-upstream"], response.headers["x-streamroute-decision-id"]


async def disappoint(session: aiohttp.ClientSession, domain: str) -> None:
    """Ask until the small model has answered badly so often."""
    for _ in range(OUTCOMES):
        upstream, id_ = await asked(session, domain)
        score = 0 if upstream == "small" else 1
        async with session.post("/v1/feedback", json={"decision_id": id_, "score": score}) as response:
            assert response.status == 200


async def learned(session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    async with session.get("/status") as response:
        found: list[dict[str, Any]] = (await response.json())["routing"]["learned"]
        return found


async def saved(session: aiohttp.ClientSession) -> None:
    """Wait until all that was learned is in the file."""
    async with asyncio.timeout(20):
        while True:
            async with session.get("/status") as response:
                if (await response.json())["routing"]["files"]["state"]["is_saved"]:
                    return


async def test_what_clients_say_moves_requests_and_outlives_a_restart(
    provider: SimulationServer, tmp_path: Path
) -> None:
    """The cheap model is asked until it was bad at a subject; then the dear one, for that subject alone; also after a
    restart; until an operator has it forgotten."""
    text, file = config(tmp_path, provider), tmp_path / "config.toml"
    file.write_text(text)
    async with served(text) as (_, session):
        assert (await asked(session, "code"))[0] == "small"
        await disappoint(session, "code")
        assert (await asked(session, "code"))[0] == "large"
        assert (await asked(session, "poetry"))[0] == "small"
        before = await learned(session)
    assert {(each["upstream"], each["domain"]) for each in before} >= {("small", "code")}
    assert sum(each["outcomes"] for each in before) == OUTCOMES
    shown = await run_command("routing", "show", "-c", str(file), "--json")
    assert json.loads(shown.stdout) == before
    async with served(text) as (serve, session):
        assert await learned(session) == before
        assert (await asked(session, "code"))[0] == "large"
        gone = await run_command("routing", "reset", "-c", str(file), "--url", serve.url, "--upstream", "huge")
        assert gone.exit_code == 1
        assert "Nothing was learned of 'huge'; of " in gone.stderr
        gone = await run_command("routing", "reset", "-c", str(file), "--url", serve.url, "--domain", "code")
        assert (gone.exit_code, f"has forgotten {OUTCOMES} outcomes" in gone.stderr) == (0, True)
        assert await learned(session) == []
        assert (await asked(session, "code"))[0] == "small"
    empty = await run_command("routing", "show", "-c", str(file))
    assert empty.stdout == f"nothing is saved yet in {tmp_path}/state.npz; a running sidecar saves every 0.1 s\n"


async def test_rules_alone_go_by_the_configuration(provider: SimulationServer, tmp_path: Path) -> None:
    """What was learned is kept, and not gone by."""
    async with served(config(tmp_path, provider, mode="rules")) as (_, session):
        await disappoint(session, "code")
        assert (await asked(session, "code"))[0] == "small"
        assert sum(each["outcomes"] for each in await learned(session)) == OUTCOMES


async def test_a_kill_loses_no_more_than_an_interval(provider: SimulationServer, tmp_path: Path) -> None:
    """What was saved before is there again, and nothing is broken, however often it happens."""
    text = config(tmp_path, provider)
    for round_ in range(1, 4):
        async with served(text) as (serve, session):
            assert sum(each["outcomes"] for each in await learned(session)) >= (round_ - 1) * OUTCOMES
            await disappoint(session, "code")
            await saved(session)
            serve.signal(signal.SIGKILL)
            await asyncio.to_thread(serve.wait, 10)
        assert "state.unreadable" not in serve.stderr


async def test_a_broken_file_is_no_reason_not_to_start(provider: SimulationServer, tmp_path: Path) -> None:
    """It is put aside with a line that says so; what is learned from then on is kept."""
    (tmp_path / "state.npz").write_bytes(b"PK\x03\x04 and no more")
    text, file = config(tmp_path, provider), tmp_path / "config.toml"
    file.write_text(text)
    async with served(text) as (serve, session):
        await asyncio.to_thread(serve.wait_for_stderr, "state.unreadable")
        await disappoint(session, "code")
    assert (tmp_path / "state.npz.broken").read_bytes() == b"PK\x03\x04 and no more"
    ended = await run_command("routing", "reset", "-c", str(file), "--upstream", "small")
    assert (ended.exit_code, f"{tmp_path}/state.npz has forgotten" in ended.stderr) == (0, True)
    (tmp_path / "state.npz").write_bytes(b"broken again")
    ended = await run_command("routing", "show", "-c", str(file))
    assert (ended.exit_code, "cannot be read" in ended.stderr) == (69, True)
