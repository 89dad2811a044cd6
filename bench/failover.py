"""What clients see while providers fail: the product's own decisions against other policies, on the same luck.

    python bench/failover.py [--scenario NAME]... [--policy NAME]... [--seeds 20] [--mode des|virtual|sockets]
                             [--rps N] [--steering preferred|balanced] [--fast] [--check] [--json] [--output FILE]
                             [--pictures DIR]

`des` drives the core itself in a discrete-event simulation; `virtual` the whole application with aiohttp, in virtual
time; `sockets` the same on loopback. Figures are medians over the seeds. What each means, and how to read them:
docs/howto/benchmarks.md. Exit code 1: with --check, a target was missed.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from failover_lab.catalogue import is_simulation_only, names, scenario_named
from failover_lab.records import RunRecord
from failover_lab.run import POLICIES
from failover_lab.staged import Staged
from failover_lab.suite import WORKERS, Job, Row, perform_all, record_of, rows_of, stage_of
from failover_lab.targets import Verdict, judge
from harness.run_facts import run_facts
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

SEEDS = 20
FAST_SEEDS = 3
PICTURED = ("streamroute", "round_robin_retry")
"""In pictures, where nothing else is asked for."""
_COLUMNS = {
    "client_error_ratio": ("errors", "{:.2%}"),
    "ttft_p50_s": ("ttft p50", "{:.2f}"),
    "ttft_p99_s": ("p99", "{:.2f}"),
    "time_to_steer_s": ("steer", "{:.1f}"),
    "lead_time_s": ("lead", "{:+.1f}"),
    "recovery_s": ("back", "{:.1f}"),
    "false_opens": ("false opens", "{:.0f}"),
    "false_steers_per_hour": ("false steers/h", "{:.1f}"),
    "false_alarms_per_hour": ("alarms/h", "{:.1f}"),
    "calls_per_request": ("calls", "{:.3f}"),
    "wasted_spend_ratio": ("waste", "{:.1%}"),
    "lost_chars": ("lost", "{:.0f}"),
    "repeated_chars": ("repeated", "{:.0f}"),
    "seam_gap_p95_s": ("seam p95", "{:.2f}"),
    "probes_per_s": ("probes/s", "{:.2f}"),
    "early_calls": ("early", "{:.0f}"),
}


def table(rows: Sequence[Row]) -> Table:
    """Lay the figures out, one scenario and policy a line."""
    made = Table(title="medians over the seeds; seconds; - : not applicable, or not in time", title_justify="left")
    made.add_column("scenario")
    made.add_column("policy")
    for label, _ in _COLUMNS.values():
        made.add_column(label, justify="right")
    last = None
    for row in rows:
        if row["scenario"] != last and last is not None:
            made.add_section()
        cells = [_cell(row.get(name), form) for name, (_, form) in _COLUMNS.items()]
        made.add_row(str(row["scenario"]) if row["scenario"] != last else "", str(row["policy"]), *cells)
        last = row["scenario"]
    return made


def _cell(value: object, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else "-"


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Lay the targets out."""
    made = Table(title="targets", title_justify="left")
    for name in ("", "scenario", "figure", "wanted", "measured"):
        made.add_column(name)
    for each in verdicts:
        mark = "[green]pass[/]" if each.is_met else "[red]FAIL[/]"
        measured = "-" if each.value is None else f"{each.value:.4g}"
        made.add_row(mark, each.target.scenario, each.target.figure, each.target.wants, measured)
    return made


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    scenarios = names(arguments.mode) if "all" in arguments.scenario else arguments.scenario
    policies = list(POLICIES) if "all" in arguments.policy else arguments.policy
    if arguments.mode != "des":
        policies = [each for each in policies if each == "streamroute"]
    seeds = arguments.seeds or (FAST_SEEDS if arguments.fast else SEEDS)
    return [
        Job(
            scenario=scenario,
            policy=policy,
            seed=seed,
            mode=arguments.mode,
            rps=arguments.rps,
            is_fast=arguments.fast,
            steering=arguments.steering,
        )
        for scenario in scenarios
        for policy in policies
        for seed in range(seeds)
    ]


def _compared(jobs: Sequence[Job], scenario: str) -> tuple[Staged, list[tuple[str, RunRecord]]]:
    """Return what the picture of a scenario shows: its first seed, by the policies asked for, or by two of all."""
    firsts = [job for job in jobs if job.scenario == scenario and job.seed == 0]
    if len(firsts) == len(POLICIES):
        firsts = [job for job in firsts if job.policy in PICTURED]
    stage = stage_of(firsts[0])
    return stage, [(job.policy, record_of(job, stage)) for job in firsts]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = ", ".join(("all", *names()))
    parser.add_argument("--scenario", action="append", metavar="NAME", help=f"of {known}")
    policies = ("all", *POLICIES)
    parser.add_argument("--policy", action="append", choices=policies, metavar="NAME", help=f"of {', '.join(policies)}")
    parser.add_argument("--mode", choices=("des", "virtual", "sockets"), default="des")
    parser.add_argument("--seeds", type=int, help=f"how many; {SEEDS}, or {FAST_SEEDS} with --fast, by default")
    parser.add_argument("--steering", choices=("preferred", "balanced"), help="of streamroute, not the scenario's own")
    parser.add_argument("--rps", type=float, help="requests a second instead of the scenario's own")
    parser.add_argument("--workers", type=int, default=WORKERS, help=f"processes; {WORKERS} by default")
    parser.add_argument("--fast", action="store_true", help="fewer seeds, shorter aftermath")
    parser.add_argument(
        "--check", action="store_true", help="compare with the targets; exit code 1 where one is missed"
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects, one a scenario and policy")
    parser.add_argument(
        "--output", "--out", type=Path, help="also write the figures, with machine and commit, to this file"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="also draw the first seed of each scenario, as SVG: ttft and steering over time, of streamroute and "
        "round_robin_retry where no policy is named",
    )
    arguments = parser.parse_args()
    arguments.scenario = arguments.scenario or ["all"]
    for name in arguments.scenario:
        if name != "all":
            try:
                scenario_named(name)
            except ValueError as error:
                parser.error(str(error))
            if arguments.mode != "des" and is_simulation_only(name):
                parser.error(f"{name} is for --mode des alone: elsewhere the providers would stand still with us")
    arguments.policy = arguments.policy or ["all"]
    return arguments


def main() -> int:
    """Parse the command line, run, print; returns the exit code."""
    arguments = _parse()
    facts, jobs = run_facts(), _jobs(arguments)
    console = Console(stderr=True)
    with Progress(
        *Progress.get_default_columns()[:3],
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        bar = progress.add_task("starting", total=len(jobs))

        def done(job: Job) -> None:
            progress.update(bar, advance=1, description=f"{job.scenario} {job.policy}")

        rows = rows_of(perform_all(jobs, done, arguments.workers), arguments.mode)
    verdicts = judge(rows) if arguments.check else []
    if arguments.output is not None:
        checks = [
            {
                "scenario": each.target.scenario, "figure": each.target.figure, "wants": each.target.wants,
                "measured": each.value, "is_met": each.is_met,
            }
            for each in judge(rows)
        ]  # fmt: skip
        arguments.output.write_text(json.dumps({"run": facts, "results": rows, "targets": checks}, indent=1) + "\n")
    if arguments.pictures is not None:
        from failover_lab.picture import draw_all  # noqa: PLC0415 - only where asked for

        draw_all(partial(_compared, jobs), list(dict.fromkeys(job.scenario for job in jobs)), arguments.pictures)
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        out = Console(width=None if sys.stdout.isatty() else 200)
        out.print(table(rows))
        if verdicts:
            out.print(verdict_table(verdicts))
    missed = sum(not each.is_met for each in verdicts)
    if missed:
        print(f"failover: {missed} of {len(verdicts)} targets missed", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
