"""What is to be seen while the demo runs, on standard error: a live table on a terminal, else a line a phase."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from streamroute import clock
from streamroute.cli.demo_plan import PREFERRED
from streamroute.cli.demo_stage import Stage
from streamroute.core.upstream import Upstream

_BAR_COLUMNS = 40


class View(Protocol):
    """Shows a stage as it is at the moment."""

    def __call__(self, stage: Stage) -> None:
        """Show it."""


@contextmanager
def open_view() -> Iterator[View]:
    """Choose what suits standard error; the live table is wiped out in the end."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield PhaseLines()
        return
    console = Console(stderr=True)
    # Drawn by our own calls: rich's refreshing thread would compete with the event loop.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda stage: live.update(picture(stage), refresh=True)


class PhaseLines:
    """Says each phase once, in a line."""

    def __init__(self) -> None:
        self._said: str | None = None

    def __call__(self, stage: Stage) -> None:
        """Say the phase, if it is a new one."""
        elapsed_s = stage.progress.elapsed_s
        phase = stage.plan.phase_at(elapsed_s)
        if phase.name != self._said:
            self._said = phase.name
            typer.echo(f"{elapsed_s:5.1f} s  {phase.name}: {phase.what}", err=True)


def picture(stage: Stage) -> Group:
    """Draw a stage."""
    plan, progress = stage.plan, stage.progress
    phase = plan.phase_at(progress.elapsed_s)
    elapsed_s = min(progress.elapsed_s, plan.duration_s)
    head = Table.grid(padding=(0, 1))
    head.add_row(
        ProgressBar(total=plan.duration_s, completed=elapsed_s, width=_BAR_COLUMNS),
        Text(f"{elapsed_s:4.1f} of {plan.duration_s:.1f} s"),
    )
    counts = Text(f"{progress.requests} answers, ")
    counts.append(f"{progress.rescued} rescued", "bold green").append(f", {progress.errors} errors    ")
    counts.append(
        f"plain retries to {PREFERRED}: {progress.control_errors} of {progress.control_requests} failed", "dim"
    )
    return Group(head, Text.assemble((f"{phase.name}: ", "bold"), phase.what), _upstreams(stage), counts)


def _upstreams(stage: Stage) -> Table:
    table = Table("upstream", "standing", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("in flight", "requests", "errors", "ttft p50"):
        table.add_column(name, justify="right")
    table.columns[1].min_width = 34  # of what is said of a breaker or of evidence; the table stays below 80
    board, at = stage.app.dispatcher.board, clock.now()
    for upstream in stage.app.config.upstreams.values():
        figures = board.health(upstream.id, at).figures()
        ttft = "-" if figures.ttft_p50_s is None else f"{figures.ttft_p50_s:.2f} s"
        table.add_row(
            upstream.id,
            _standing(stage, upstream, at),
            str(figures.in_flight),
            str(figures.attempts),
            str(figures.failed),
            ttft,
        )
    return table


def _standing(stage: Stage, upstream: Upstream, at: float) -> Text:
    standing = stage.app.dispatcher.board.standing(upstream, at)
    wait = "" if standing.until is None else f" for {max(0.0, standing.until - at):.1f} s"
    if standing.kind == "rate_limited":
        return Text(f"rate limited{wait}", "yellow")
    if standing.breaker == "open":
        return Text(f"open{wait}", "red")
    words = standing.kind if standing.breaker == "closed" else standing.breaker.replace("_", " ")
    if standing.kind == "healthy":
        return Text(words, "green" if standing.breaker == "closed" else "yellow")
    return Text(f"{words}: {standing.reason}" if standing.reason else words, "yellow")
