"""What the sidecar costs: CPU per request and per streamed chunk, and added latency, against going direct.

    python bench/overhead.py [--reps 5] [--fast] [--json] [--out FILE]

Every load is sent twice in turn, direct to a mock provider and then through `streamroute serve` in front of it, and
the whole is repeated; figures are medians of the repetitions. A machine that is slow today is slow for both, so the
ratios tell more than the microseconds. How to read them: docs/howto/benchmarks.md.

CPU is the process's own clock over a load, divided by the answers that were whole. CPU per chunk is the slope between
streams of many chunks and of few: (CPU of a stream of 100 - CPU of a stream of 10) / 90, which leaves out what a
request costs that a chunk does not. Exit code 1: an answer was not whole, so the figures are worth nothing.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.load import Load, LoadResult
from harness.processes import BenchError, LoadClient, Provider, Sidecar, load_client, mock_provider, pin_driver, sidecar
from harness.run_facts import run_facts
from harness.vitals import rss_mb
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

REPS = 5
FAST_REPS = 2
FAST_SHARE = 0.3
"""Of the time that a load takes otherwise."""
FEW_CHUNKS = 10
"""Of the short streams, for the slope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One kind of load."""

    name: str
    description: str
    load: Load

    def few(self) -> Load | None:
        """Return the same load with short streams; None where it does not stream."""
        return replace(self.load, chunks=FEW_CHUNKS) if self.load.stream else None


SCENARIOS = (
    Scenario(
        name="non_stream_1",
        description="whole answers, one at a time",
        load=Load(stream=False, connections=1, seconds=1.0),
    ),
    Scenario(
        name="non_stream_64",
        description="whole answers, 64 connections",
        load=Load(stream=False, connections=64, seconds=1.5),
    ),
    Scenario(
        name="stream_burst_64",
        description="streams of 100 chunks at once, 64 connections",
        load=Load(connections=64, seconds=1.5),
    ),
    Scenario(
        name="stream_paced_64",
        description="64 streams at a time, 100 chunks each, one every 10 ms",
        load=Load(connections=72, delay_us=10_000, rate_per_s=64.0, seconds=3.0),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One repetition of one scenario: the same loads, direct and through."""

    direct: LoadResult
    through: LoadResult
    direct_few: LoadResult | None
    through_few: LoadResult | None
    rss_mb: float

    def results(self) -> list[LoadResult]:
        """Return all that were measured."""
        return [each for each in (self.direct, self.through, self.direct_few, self.through_few) if each is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Medians over the repetitions. `_ratio` is through / direct; a few percent of noise remain."""

    scenario: str
    description: str
    reps: int
    failed: int
    """Answers that were not whole, of all."""
    requests_per_s_direct: float
    requests_per_s_through: float
    sidecar_cpu_us_per_request: float
    sidecar_cpu_us_per_request_min: float
    sidecar_cpu_us_per_request_max: float
    direct_cpu_us_per_request: float
    """Client and mock provider together, when nothing stands between them: what the machine needs for the load."""
    sidecar_cpu_us_per_chunk: float | None
    sidecar_cpu_us_per_chunk_min: float | None
    sidecar_cpu_us_per_chunk_max: float | None
    direct_cpu_us_per_chunk: float | None
    chunk_cpu_ratio: float | None
    """sidecar_cpu_us_per_chunk / direct_cpu_us_per_chunk."""
    client_cpu_us_per_request_direct: float
    client_cpu_us_per_request_through: float
    first_p50_us_direct: float
    first_p50_us_through: float
    first_p50_us_added: float
    first_p99_us_direct: float
    first_p99_us_through: float
    first_p99_us_added: float
    chunk_p50_us_direct: float | None
    chunk_p50_us_through: float | None
    chunk_p50_us_added: float | None
    chunk_p99_us_direct: float | None
    chunk_p99_us_through: float | None
    chunk_p99_us_added: float | None
    sidecar_cpu_share: float
    """Of one core, during the load; near 1 the load is as fast as the sidecar can go."""
    sidecar_rss_mb: float


def measure(scenario: Scenario, provider: Provider, box: Sidecar, client: LoadClient, share: float) -> Sample:
    """Send the scenario's loads, each direct and then through the sidecar."""

    def pair(load: Load) -> tuple[LoadResult, LoadResult]:
        load = replace(load, seconds=load.seconds * share, cpu_of={"provider": provider.pid, "sidecar": box.pid})
        return client.run(replace(load, port=provider.port)), client.run(replace(load, port=box.port))

    direct, through = pair(scenario.load)
    few = scenario.few()
    direct_few, through_few = pair(few) if few is not None else (None, None)
    return Sample(
        direct=direct,
        through=through,
        direct_few=direct_few,
        through_few=through_few,
        rss_mb=rss_mb(box.pid),
    )


def figures(scenario: Scenario, samples: Sequence[Sample]) -> Figures:
    """Take the medians."""

    def median(of: Callable[[Sample], float]) -> float:
        return round(statistics.median(of(each) for each in samples), 2)

    def added(name: str) -> float:
        return median(lambda each: float(getattr(each.through, name) - getattr(each.direct, name)))

    def path(which: str, name: str) -> float:
        return median(lambda each: float(getattr(getattr(each, which), name)))

    is_stream = scenario.load.stream
    request_us = [_cpu_us(each.through, "sidecar") for each in samples]
    chunk_us = [_slope_us(each.through, each.through_few, "sidecar") for each in samples] if is_stream else []
    ratios = [
        _slope_us(each.through, each.through_few, "sidecar")
        / max(1e-9, _slope_us(each.direct, each.direct_few, "client", "provider"))
        for each in samples
        if is_stream
    ]
    return Figures(
        scenario=scenario.name,
        description=scenario.description,
        reps=len(samples),
        failed=sum(result.failed for each in samples for result in each.results()),
        requests_per_s_direct=median(lambda each: each.direct.requests / each.direct.elapsed_s),
        requests_per_s_through=median(lambda each: each.through.requests / each.through.elapsed_s),
        sidecar_cpu_us_per_request=round(statistics.median(request_us), 2),
        sidecar_cpu_us_per_request_min=round(min(request_us), 2),
        sidecar_cpu_us_per_request_max=round(max(request_us), 2),
        direct_cpu_us_per_request=median(lambda each: _cpu_us(each.direct, "client", "provider")),
        sidecar_cpu_us_per_chunk=round(statistics.median(chunk_us), 2) if is_stream else None,
        sidecar_cpu_us_per_chunk_min=round(min(chunk_us), 2) if is_stream else None,
        sidecar_cpu_us_per_chunk_max=round(max(chunk_us), 2) if is_stream else None,
        direct_cpu_us_per_chunk=median(lambda each: _slope_us(each.direct, each.direct_few, "client", "provider"))
        if is_stream
        else None,
        chunk_cpu_ratio=round(statistics.median(ratios), 2) if is_stream else None,
        client_cpu_us_per_request_direct=median(lambda each: _cpu_us(each.direct, "client")),
        client_cpu_us_per_request_through=median(lambda each: _cpu_us(each.through, "client")),
        first_p50_us_direct=path("direct", "first_p50_us"),
        first_p50_us_through=path("through", "first_p50_us"),
        first_p50_us_added=added("first_p50_us"),
        first_p99_us_direct=path("direct", "first_p99_us"),
        first_p99_us_through=path("through", "first_p99_us"),
        first_p99_us_added=added("first_p99_us"),
        chunk_p50_us_direct=path("direct", "chunk_p50_us") if is_stream else None,
        chunk_p50_us_through=path("through", "chunk_p50_us") if is_stream else None,
        chunk_p50_us_added=added("chunk_p50_us") if is_stream else None,
        chunk_p99_us_direct=path("direct", "chunk_p99_us") if is_stream else None,
        chunk_p99_us_through=path("through", "chunk_p99_us") if is_stream else None,
        chunk_p99_us_added=added("chunk_p99_us") if is_stream else None,
        sidecar_cpu_share=median(lambda each: each.through.cpu_s["sidecar"] / each.through.elapsed_s),
        sidecar_rss_mb=median(lambda each: each.rss_mb),
    )


def _cpu_us(result: LoadResult, *processes: str) -> float:
    """Return CPU microseconds per whole answer."""
    return sum(result.cpu_s[name] for name in processes) / max(1, result.requests) * 1e6


def _slope_us(many: LoadResult, few: LoadResult | None, *processes: str) -> float:
    """Return CPU microseconds per chunk, what a request costs without its chunks left out."""
    if few is None:
        return 0.0
    more_chunks = many.chunks / max(1, many.requests) - few.chunks / max(1, few.requests)
    return (_cpu_us(many, *processes) - _cpu_us(few, *processes)) / max(1.0, more_chunks)


def run(reps: int, share: float) -> tuple[list[Figures], list[str]]:
    """Run everything; return the figures and what went wrong with answers."""
    samples: dict[str, list[Sample]] = {each.name: [] for each in SCENARIOS}
    core = pin_driver()
    console = Console(stderr=True)
    with (
        mock_provider() as provider,
        load_client() as client,
        sidecar(provider, core=core) as box,
        Progress(console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        bar = progress.add_task("warming up", total=reps * len(SCENARIOS))
        for stream in (False, True):
            client.run(Load(port=provider.port, stream=stream, connections=16, seconds=0.5))
            client.run(Load(port=box.port, stream=stream, connections=16, seconds=0.5))
        for rep in range(reps):
            for scenario in SCENARIOS:
                progress.update(bar, description=f"{rep + 1}/{reps} {scenario.name}")
                samples[scenario.name].append(measure(scenario, provider, box, client, share))
                progress.advance(bar)
    failures = [
        f"{name}: {failure}"
        for name, taken in samples.items()
        for sample in taken
        for result in sample.results()
        for failure in result.failures
    ]
    return [figures(each, samples[each.name]) for each in SCENARIOS], failures


def table(rows: Sequence[Figures]) -> Table:
    """Lay the figures out, one scenario a column."""
    made = Table(title="CPU and latency in microseconds: medians; direct -> through the sidecar", title_justify="left")
    made.add_column("")
    for row in rows:
        made.add_column(row.scenario, justify="right")

    def line(label: str, of: Callable[[Figures], str | None], *, end_section: bool = False) -> None:
        made.add_row(label, *[of(row) or "-" for row in rows], end_section=end_section)

    def number(value: float | None) -> str | None:
        return None if value is None else f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"

    def both(before: float | None, after: float | None) -> str | None:
        return None if before is None else f"{number(before)} -> {number(after)}"

    line("sidecar CPU per request", lambda row: number(row.sidecar_cpu_us_per_request))
    line("sidecar CPU per chunk", lambda row: number(row.sidecar_cpu_us_per_chunk))
    line("direct CPU per request (client + mock)", lambda row: number(row.direct_cpu_us_per_request))
    line("direct CPU per chunk (client + mock)", lambda row: number(row.direct_cpu_us_per_chunk))
    line("ratio per chunk: sidecar / direct", lambda row: number(row.chunk_cpu_ratio))
    line(
        "client CPU per request",
        lambda row: both(row.client_cpu_us_per_request_direct, row.client_cpu_us_per_request_through),
        end_section=True,
    )
    line("first content p50", lambda row: both(row.first_p50_us_direct, row.first_p50_us_through))
    line("first content p99", lambda row: both(row.first_p99_us_direct, row.first_p99_us_through))
    line("added to the first content p50", lambda row: number(row.first_p50_us_added))
    line("chunk on its way p50", lambda row: both(row.chunk_p50_us_direct, row.chunk_p50_us_through))
    line("chunk on its way p99", lambda row: both(row.chunk_p99_us_direct, row.chunk_p99_us_through))
    line("added to a chunk p50", lambda row: number(row.chunk_p50_us_added), end_section=True)
    line("requests/s", lambda row: both(row.requests_per_s_direct, row.requests_per_s_through))
    line("sidecar's share of a core", lambda row: f"{row.sidecar_cpu_share:.0%}")
    line("sidecar memory, MB", lambda row: number(row.sidecar_rss_mb))
    line("answers not whole", lambda row: str(row.failed))
    return made


def main() -> int:
    """Parse the command line, run, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reps", type=int, help=f"repetitions; {REPS}, or {FAST_REPS} with --fast, by default")
    parser.add_argument("--fast", action="store_true", help="a quarter of a minute instead of two minutes; noisier")
    parser.add_argument("--json", action="store_true", help="print a list of objects, one a scenario")
    parser.add_argument("--out", type=Path, help="also write the figures, with machine and commit, to this file")
    arguments = parser.parse_args()
    facts = run_facts()
    try:
        rows, failures = run(
            max(1, arguments.reps or (FAST_REPS if arguments.fast else REPS)), FAST_SHARE if arguments.fast else 1.0
        )
    except BenchError as error:
        print(f"overhead: {error}", file=sys.stderr)
        return 1
    results = [asdict(row) for row in rows]
    if arguments.out is not None:
        arguments.out.write_text(json.dumps({"run": facts, "results": results}, indent=2) + "\n")
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(table(rows))
    for failure in failures[:10]:
        print(f"overhead: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
