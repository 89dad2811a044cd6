"""Answers go on while the ledger's database is down, locked or full; afterwards every request is there, each once."""

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import pytest

from streamroute.core.cost.report import UsageRow
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.stores.usage import read_usage
from tests.support.postgres import PostgresServer, needs_postgres
from tests.support.serve_process import ServeProcess, provider_table

pytestmark = pytest.mark.slow

BACK_WITHIN_S = 20.0
"""The longest wait between two tries of the writer is 15 s; these outages are short, so that it is some seconds."""
FLUSH_S = 0.1


@dataclass(slots=True)
class Desk:
    """A sidecar, a client that asks under a new name each time, and where the ledger is read."""

    serve: ServeProcess
    session: aiohttp.ClientSession
    rows: Callable[[], list[UsageRow]]
    """By user."""
    asked: set[str] = field(default_factory=set)

    async def ask(self, count: int) -> None:
        """Have `count` requests answered."""
        for _ in range(count):
            user = f"u{len(self.asked)}"
            self.asked.add(user)
            body = {"model": "chat", "user": user, "messages": [{"role": "user", "content": "Tell me about rivers."}]}
            async with self.session.post(f"{self.serve.url}/v1/chat/completions", json=body) as response:
                assert response.status == 200, await response.text()
                await response.read()

    async def text(self, path: str) -> str:
        """Read one of the operators' pages."""
        async with self.session.get(f"{self.serve.url}{path}") as response:
            assert response.status == 200
            return await response.text()

    async def until(self, is_so: Callable[[str], bool]) -> str:
        """Wait until `/readyz?verbose` says so."""
        with anyio.fail_after(BACK_WITHIN_S):
            while not is_so(said := await self.text("/readyz?verbose")):
                with anyio.move_on_after(0.05):
                    await anyio.sleep_forever()
        return said

    async def assert_trouble_is_told(self, *words: str) -> None:
        """On both pages; the sidecar is ready all the same."""
        await self.until(lambda text: "ledger (TROUBLE" in text and any(word in text for word in words))
        assert "streamroute_ledger_trouble 1.0" in await self.text("/metrics")

    async def assert_all_is_well(self) -> None:
        """Nothing waits, nothing was lost, nothing is there twice."""
        await self.until(lambda text: "[+]ledger ok" in text)
        with anyio.fail_after(BACK_WITHIN_S):
            while f'streamroute_ledger_entries_total{{fate="written"}} {2 * len(self.asked)}.0' not in (
                metrics := await self.text("/metrics")
            ):
                with anyio.move_on_after(0.05):
                    await anyio.sleep_forever()
        for gone in ("dropped", "refused"):
            assert f'streamroute_ledger_entries_total{{fate="{gone}"}} 0.0' in metrics
        rows = await asyncio.to_thread(self.rows)
        assert {row.by[0]: (row.attempts, row.requests) for row in rows} == dict.fromkeys(self.asked, (1, 1))


@asynccontextmanager
async def desk(url: str, folder: Path, *, prefix: tuple[str, ...] = ()) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(SimulationServer(None, profile=Profile(tokens=4)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        text = (
            f'version = 1\n[ledger]\nurl = "{url}"\nspool_dir = "{folder}"\nflush_interval_s = {FLUSH_S}\n'
            f"{provider_table('a', provider.base_url)}price = {{ input_per_mtok = 1, output_per_mtok = 2 }}\n"
            '[routes.chat]\nupstreams = ["a"]\n'
        )
        serve = stack.enter_context(ServeProcess(text, prefix=prefix))
        yield Desk(serve, session, partial(read_usage, url.replace("postgresql:", "postgresql+psycopg:"), ["user"]))


@needs_postgres
async def test_postgres_is_down_at_the_start_and_again_in_mid_run(tmp_path: Path) -> None:
    """The sidecar starts without it; entries wait on disk both times."""
    with PostgresServer() as server:
        async with desk(server.url, tmp_path) as office:
            await office.ask(20)
            await office.assert_trouble_is_told("refused")
            await asyncio.to_thread(server.start)
            await office.ask(20)
            await office.assert_all_is_well()
            await asyncio.to_thread(server.stop)
            await office.ask(20)
            await office.assert_trouble_is_told("refused", "closed", "terminat", "shut")
            await office.ask(20)
            await asyncio.to_thread(server.start)
            await office.ask(20)
            await office.assert_all_is_well()


async def test_a_file_of_sqlite_is_locked_at_the_start_and_again_in_mid_run(tmp_path: Path) -> None:
    """By somebody who holds it for longer than a write may wait."""
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with desk(f"sqlite:///{file}", tmp_path) as office:
            await office.ask(20)
            await office.assert_trouble_is_told("locked")
            other.execute("ROLLBACK")
            await office.assert_all_is_well()
            other.execute("BEGIN IMMEDIATE")
            await office.ask(20)
            await office.assert_trouble_is_told("locked")
            other.execute("ROLLBACK")
            await office.ask(5)
            await office.assert_all_is_well()


async def test_no_file_may_grow_any_more(tmp_path: Path) -> None:
    """EFBIG for the database, and for the spool as well: entries wait in memory until there is room."""
    file = tmp_path / "ledger.db"
    async with desk(f"sqlite:///{file}", tmp_path) as office:
        await office.ask(5)
        await office.assert_all_is_well()
        resource.prlimit(office.serve.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        await office.ask(60)
        await office.assert_trouble_is_told("disk I/O error", "full")
        await office.until(lambda text: "File too large" in text)
        resource.prlimit(office.serve.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await office.ask(5)
        await office.assert_all_is_well()


def small_disk(folder: Path) -> tuple[str, ...]:
    """Return what runs a command with a disk of 1 MiB at `folder`, or skip where users may not mount any."""
    run = ("unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=1m none "{folder}" && exec "$@"', "sh")
    if shutil.which("unshare") is None or subprocess.run([*run, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk here")
    return run


def rows_of_a_copy(folder: Path, copy: Path) -> list[UsageRow]:
    """SQLite would follow the link in `/proc` to our own disk."""
    copy.mkdir(exist_ok=True)
    for file in folder.glob("ledger.db*"):
        shutil.copy(file, copy)
    return read_usage(f"sqlite:///{copy}/ledger.db", ["user"])


async def test_the_disk_is_full(tmp_path: Path) -> None:
    """ENOSPC: both the database and the spool are on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with ExitStack() as stack:
        prefix = small_disk(folder)
        async with desk(f"sqlite:///{folder}/ledger.db", folder, prefix=prefix) as office:
            seen = Path(f"/proc/{office.serve.pid}/root{folder}")
            office.rows = partial(rows_of_a_copy, seen, tmp_path / "copy")
            await office.ask(5)
            await office.assert_all_is_well()
            filler = stack.enter_context((seen / "filler").open("wb", buffering=0))
            while free := os.statvfs(seen).f_bavail * os.statvfs(seen).f_frsize:
                filler.write(bytes(free))
            await office.ask(60)
            await office.assert_trouble_is_told("full", "I/O error")
            await office.until(lambda text: "No space left" in text)
            filler.truncate(0)
            await office.ask(5)
            await office.assert_all_is_well()
