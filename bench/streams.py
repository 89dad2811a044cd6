"""Many streams at once through one sidecar process, and nothing left of them afterwards.

    python bench/streams.py [--streams 1000] [--rounds 3] [--json] [--out FILE]

`streamroute serve` runs in front of a mock provider on loopback. Each round opens all streams at the same moment, a
chunk every 40 ms in each, and judges every text. Then the same against the same application with a window into it
(`harness/inside.py`), where tasks and objects of requests can be counted. The limits:

1. every text whole, all streams open at one moment (by `/status`), none in flight afterwards;
2. resident memory under 150 MB at its highest mark, the growth of later rounds under 5 MB;
3. file descriptors: afterwards only the pooled connections to the provider are left over, and when the provider closes
   those, the count is exactly what it was;
4. tasks and objects of requests: exactly as many as before.

Exit code 1: a limit was broken.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.load import Load, LoadResult
from harness.processes import (
    BenchError,
    LoadClient,
    Provider,
    Sidecar,
    load_client,
    mock_provider,
    pin_driver,
    raise_file_limit,
    read_line,
    sidecar,
    wait_until,
)
from harness.report import parser_of, publish
from harness.run_facts import run_facts
from harness.vitals import clients_of, connections_to, cpu_s, open_files, peak_rss_mb, rss_mb
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

STREAMS = 1000
ROUNDS = 3
CHUNKS = 100
DELAY_US = 40_000
"""25 chunks a second: a fast hosted model."""
MAX_RSS_MB = 150.0
MAX_GROWTH_MB = 5.0
"""Between the second round and the last: the first one grows what is kept for the next, such as the allocator's."""
SETTLE_S = 5.0
"""How long the sidecar may take to close what it should."""
SAMPLE_EVERY_S = 0.1
FILES_BESIDE = 200
"""Open files of a process beside its streams."""


@dataclass(slots=True, kw_only=True)
class Round:
    """What one round showed. Memory in MB of 10^6 bytes, latencies in microseconds."""

    process: str
    streams: int
    whole: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0
    chunks_per_s: float = 0.0
    sidecar_cpu_share: float = 0.0
    first_p50_us: float = 0.0
    first_p99_us: float = 0.0
    chunk_p50_us: float = 0.0
    chunk_p99_us: float = 0.0
    in_flight_peak: int = 0
    in_flight_after: int = -1
    rss_idle_mb: float = 0.0
    rss_peak_mb: float = 0.0
    rss_after_mb: float = 0.0
    files_idle: int = 0
    files_peak: int = 0
    files_after: int = 0
    pooled_after: int = 0
    """Idle connections to the provider among `files_after`: kept for the next requests."""
    files_after_pool_closed: int = 0
    tasks_idle: int | None = None
    tasks_peak: int | None = None
    tasks_after: int | None = None
    objects_after: dict[str, int] | None = None
    """Counted while the pool is still open: its connections must not keep the requests alive that they once served."""

    def broken(self) -> list[str]:
        """Return the limits that were broken."""
        found = [
            (self.whole != self.streams or self.failed > 0, f"{self.failed} of {self.streams} streams were not whole"),
            (self.in_flight_peak != self.streams, f"{self.in_flight_peak} streams were open at one moment, not all"),
            (self.in_flight_after != 0, f"{self.in_flight_after} requests are still in flight"),
            (self.rss_peak_mb >= MAX_RSS_MB, f"{self.rss_peak_mb:.1f} MB were resident, {MAX_RSS_MB:g} are allowed"),
            (
                self.files_after != self.files_idle + self.pooled_after,
                f"{self.files_after} files are open, not {self.files_idle} and {self.pooled_after} pooled connections",
            ),
            (
                self.files_after_pool_closed != self.files_idle,
                f"{self.files_after_pool_closed} files are open without the pool, {self.files_idle} were before",
            ),
            (self.tasks_after != self.tasks_idle, f"{self.tasks_after} tasks, {self.tasks_idle} were before"),
            (any((self.objects_after or {}).values()), f"objects of requests are alive: {self.objects_after}"),
        ]
        return [f"{self.process}: {what}" for is_broken, what in found if is_broken]


class Watch:
    """Looks at a sidecar before, during and after a round."""

    def __init__(self, box: Sidecar, provider: Provider, result: Round, *, sees_inside: bool) -> None:
        self._box = box
        self._provider = provider
        self._result = result
        self._sees_inside = sees_inside
        self._is_full = False

    def before(self) -> None:
        """Note what is there without any connection."""
        self._provider.close_idle()
        result, pid = self._result, self._box.pid
        wait_until(lambda: connections_to(pid, self._provider.port) == 0, SETTLE_S)
        wait_until(lambda: clients_of(pid, self._box.port) == 0, SETTLE_S)
        result.files_idle, result.rss_idle_mb = open_files(pid), rss_mb(pid)
        if self._sees_inside:
            result.tasks_idle = self.inside()["tasks"]

    def during(self) -> None:
        """Note the most that was seen; called again and again."""
        result, pid = self._result, self._box.pid
        result.in_flight_peak = max(result.in_flight_peak, int(self._box.status()["in_flight"]))
        result.rss_peak_mb = max(result.rss_peak_mb, rss_mb(pid))
        result.files_peak = max(result.files_peak, open_files(pid))
        if self._sees_inside and result.in_flight_peak == result.streams and not self._is_full:
            self._is_full = True  # once: counting the objects stops the process for a moment
            result.tasks_peak = self.inside()["tasks"]

    def after(self) -> None:
        """Note what is left, before and after the provider has closed the pooled connections."""
        result, box, provider = self._result, self._box, self._provider
        wait_until(lambda: box.status()["in_flight"] == 0, SETTLE_S)
        result.in_flight_after = int(box.status()["in_flight"])
        wait_until(lambda: clients_of(box.pid, box.port) == 0, SETTLE_S)
        result.rss_peak_mb = max(result.rss_peak_mb, peak_rss_mb(box.pid))
        result.pooled_after = connections_to(box.pid, provider.port)
        wait_until(lambda: open_files(box.pid) == result.files_idle + result.pooled_after, SETTLE_S)
        result.files_after = open_files(box.pid)
        if self._sees_inside:
            result.objects_after = self.inside()["objects"]
        provider.close_idle()
        wait_until(lambda: open_files(box.pid) == result.files_idle, SETTLE_S)
        result.files_after_pool_closed = open_files(box.pid)
        result.rss_after_mb = rss_mb(box.pid)
        if self._sees_inside:
            result.tasks_after = self.inside()["tasks"]

    def inside(self) -> dict[str, Any]:
        """Return what is alive in the process."""
        os.kill(self._box.pid, signal.SIGUSR1)
        facts: dict[str, Any] = json.loads(read_line(self._box.process, SETTLE_S))
        return facts


def perform(result: Round, box: Sidecar, provider: Provider, client: LoadClient, *, sees_inside: bool) -> Round:
    """Perform one round."""
    watch = Watch(box, provider, result, sees_inside=sees_inside)
    watch.before()
    cpu_before, began = cpu_s(box.pid), time.monotonic()
    load = Load(port=box.port, connections=result.streams, chunks=CHUNKS, delay_us=DELAY_US)
    outcome: LoadResult = client.run(load, each=watch.during, every_s=SAMPLE_EVERY_S)
    result.sidecar_cpu_share = (cpu_s(box.pid) - cpu_before) / (time.monotonic() - began)
    result.whole, result.failed, result.failures = outcome.requests, outcome.failed, outcome.failures
    result.elapsed_s = outcome.elapsed_s
    result.chunks_per_s = outcome.chunks / outcome.elapsed_s
    result.first_p50_us, result.first_p99_us = outcome.first_p50_us, outcome.first_p99_us
    result.chunk_p50_us, result.chunk_p99_us = outcome.chunk_p50_us, outcome.chunk_p99_us
    watch.after()
    return result


def run(streams: int, rounds: int) -> tuple[list[Round], list[str]]:
    """Run all rounds against the product, then one with a window; return them and the limits that were broken."""
    raise_file_limit(2 * streams + FILES_BESIDE)
    core = pin_driver()
    console = Console(stderr=True)
    done: list[Round] = []
    with (
        mock_provider() as provider,
        load_client() as client,
        Progress(console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        bar = progress.add_task("starting", total=rounds + 1)
        with sidecar(provider, core=core) as box:
            _warm_up(box, client)
            for number in range(rounds):
                _advance(progress, bar, f"round {number + 1}: {streams} streams")
                result = Round(process="serve", streams=streams)
                done.append(perform(result, box, provider, client, sees_inside=False))
        with sidecar(provider, core=core, module="harness.inside") as box:
            _warm_up(box, client)
            _advance(progress, bar, f"{streams} streams, seen from inside")
            result = Round(process="inside", streams=streams)
            done.append(perform(result, box, provider, client, sees_inside=True))
    broken = [each for result in done for each in result.broken()]
    growth_mb = done[rounds - 1].rss_after_mb - done[min(1, rounds - 1)].rss_after_mb
    if growth_mb > MAX_GROWTH_MB:
        broken.append(f"serve: resident memory grew by {growth_mb:.1f} MB from the second round to the last")
    return done, broken


def _warm_up(box: Sidecar, client: LoadClient) -> None:
    client.run(Load(port=box.port, connections=8, chunks=5))


def _advance(progress: Progress, bar: TaskID, description: str) -> None:
    progress.update(bar, description=description, advance=1)


def table(rows: Sequence[Round]) -> Table:
    """Lay the rounds out, one a line."""
    made = Table(title=f"{rows[0].streams} streams at once, {CHUNKS} chunks each, one every {DELAY_US // 1000} ms")
    for column in ("process", "whole", "open at once", "chunks/s", "CPU share", "MB idle/peak/after"):
        made.add_column(column, justify="right")
    for column in ("files idle/peak/after/no pool", "tasks idle/peak/after", "first p50/p99 ms", "chunk p50/p99 ms"):
        made.add_column(column, justify="right")
    for row in rows:
        made.add_row(
            row.process,
            f"{row.whole}/{row.streams}",
            str(row.in_flight_peak),
            f"{row.chunks_per_s:,.0f}",
            f"{row.sidecar_cpu_share:.0%}",
            f"{row.rss_idle_mb:.0f}/{row.rss_peak_mb:.0f}/{row.rss_after_mb:.0f}",
            f"{row.files_idle}/{row.files_peak}/{row.files_after}/{row.files_after_pool_closed}",
            "-" if row.tasks_idle is None else f"{row.tasks_idle}/{row.tasks_peak}/{row.tasks_after}",
            f"{row.first_p50_us / 1e3:.0f}/{row.first_p99_us / 1e3:.0f}",
            f"{row.chunk_p50_us / 1e3:.1f}/{row.chunk_p99_us / 1e3:.1f}",
        )
    return made


def main() -> int:
    """Parse the command line, run, print; returns the exit code."""
    arguments = parser_of(__doc__, "round", streams=STREAMS, rounds=ROUNDS).parse_args()
    facts = run_facts()
    try:
        rounds, broken = run(max(1, arguments.streams), max(1, arguments.rounds))
    except BenchError as error:
        print(f"streams: {error}", file=sys.stderr)
        return 1
    code = publish("streams", arguments, facts=facts, figures=rounds, broken=broken, table=table(rounds), width=190)
    for failure in [failure for each in rounds for failure in each.failures][:10]:
        print(f"streams: {failure}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
