"""What a kill leaves of the ledger, and how the command reports it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from tests.support.postgres import PostgresServer, needs_postgres
from tests.support.serve_process import ServeProcess, provider_table

FLUSH_S = 0.5
WORKERS = 8
ANSWERED_BEFORE_THE_KILL = 200
LOADED_FOR_S = 2 * FLUSH_S
"""So that some answers are older than the interval when the kill comes, however quick the machine is."""


def usage(file: Path, *args: str) -> list[dict[str, object]]:
    ended = subprocess.run(
        [sys.executable, "-m", "streamroute", "usage", "-c", str(file), "--json", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
        timeout=30,
        check=True,
    )
    found: list[dict[str, object]] = json.loads(ended.stdout)
    return found


class Load:
    """Clients that ask one request after another, each under a name of its own, and note when each was answered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answered: dict[str, float] = {}
        self.asked = 0
        self.is_enough = asyncio.Event()

    async def work(self, session: aiohttp.ClientSession) -> None:
        """Ask until nobody answers any more."""
        while True:
            self.asked += 1
            user = f"u{self.asked}"
            body = {"model": "chat", "user": user, "messages": [{"role": "user", "content": "Tell me about rivers."}]}
            try:
                async with session.post(f"{self.url}/v1/chat/completions", json=body) as response:
                    assert response.status == 200
                    await response.read()
            except aiohttp.ClientError:
                return
            now = self.answered[user] = time.monotonic()
            is_old = now - next(iter(self.answered.values())) > LOADED_FOR_S
            if is_old and len(self.answered) >= ANSWERED_BEFORE_THE_KILL:
                self.is_enough.set()


@pytest.mark.slow
@pytest.mark.parametrize("flush_interval_s", [FLUSH_S, 0.0])
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=needs_postgres)])
async def test_a_kill_under_load_loses_no_more_than_one_interval(
    database: str, flush_interval_s: float, tmp_path: Path
) -> None:
    """SIGKILL at any moment: every answer older than the interval is on the ledger after the next start, none twice."""
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{tmp_path}/ledger.db"
        if database == "postgresql":
            server = stack.enter_context(PostgresServer())
            await asyncio.to_thread(server.start)
            url = server.url
        provider = await stack.enter_async_context(SimulationServer(None, profile=Profile(tokens=8)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        price = "price = { input_per_mtok = 1, output_per_mtok = 2 }"
        text = (
            f'version = 1\n[ledger]\nurl = "{url}"\nflush_interval_s = {flush_interval_s}\nspool_dir = "{tmp_path}"\n'
            f'{provider_table("a", provider.base_url)}{price}\n[routes.chat]\nupstreams = ["a"]\n'
        )
        file = tmp_path / "config.toml"
        file.write_text(text)
        with ServeProcess(text) as serve:
            load = Load(serve.url)
            async with asyncio.TaskGroup() as tasks:
                for _ in range(WORKERS):
                    tasks.create_task(load.work(session))
                await asyncio.wait_for(load.is_enough.wait(), 30)
                killed_at = time.monotonic()
                serve.signal(signal.SIGKILL)
        with ServeProcess(text) as serve:  # takes over what the other left on disk
            serve.signal(signal.SIGTERM)
            assert await asyncio.to_thread(serve.wait, 10) == 0
        rows = await asyncio.to_thread(usage, file, "--by", "user")
        attempts = {row["user"]: row["attempts"] for row in rows if row["user"] is not None}
        assert set(attempts.values()) == {1}, "none is counted twice"
        settled = {user for user, at in load.answered.items() if at < killed_at - flush_interval_s}
        assert settled - attempts.keys() == set()
        assert len(attempts) >= len(settled) > 0
        total = await asyncio.to_thread(usage, file, "--by", "")
        assert total[0]["attempts"] == sum(row["attempts"] for row in rows if isinstance(row["attempts"], int))
