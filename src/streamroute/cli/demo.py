"""`streamroute demo`: watch answers survive failing providers, without a key and without a network.

Three simulated providers, the sidecar and its clients run in this process, on real sockets. The summary goes to
standard output, all else to standard error. Exit codes: 0 well, 1 an invariant broke, 69 (EX_UNAVAILABLE) no port is
to be had, 130 interrupted.
"""

import logging
import signal
import sys
from typing import Annotated

import anyio
import typer
from rich.console import Console

from streamroute import clock
from streamroute.cli.demo_plan import DEFAULT_SEED, PREFERRED, DemoPlan, make_plan
from streamroute.cli.demo_report import DemoReport, broken_invariants, make_report
from streamroute.cli.demo_stage import Stage, open_stage
from streamroute.cli.demo_summary import curl_line, next_lines, summary_json, summary_lines
from streamroute.cli.demo_view import open_view
from streamroute.cli.event_loop import run_on_fast_loop
from streamroute.telemetry.logs import configure_logs

EXIT_BROKEN = 1
EXIT_UNAVAILABLE = 69
EXIT_INTERRUPTED = 130


def demo(
    fast: Annotated[bool, typer.Option("--fast", help="The same story in under 10 s.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="The same seed: the same prompts and troubles.")] = DEFAULT_SEED,
    keep_serving: Annotated[
        bool, typer.Option("--serve", help="Go on afterwards, with the troubles in turn, for a client of yours.")
    ] = False,
) -> None:
    """Watch answers survive failing providers: 20 seconds, no key, no network."""
    configure_logs("error")  # the sidecar warns of every failed attempt, and failing is what they are here for
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a provider's lost client would be a traceback
    try:
        exit_code = run_on_fast_loop(_run, make_plan(seed, is_fast=fast), as_json, keep_serving)
    except KeyboardInterrupt:
        exit_code = EXIT_INTERRUPTED
    except OSError as error:
        typer.echo(f"cannot listen on the loopback: {error.strerror or error}", err=True)
        exit_code = EXIT_UNAVAILABLE
    raise typer.Exit(exit_code)


async def _run(plan: DemoPlan, as_json: bool, keep_serving: bool) -> int:
    """Perform, report, and serve on if wanted; return the exit code."""
    began_at = clock.now()
    async with open_stage(plan) as stage:
        typer.echo(
            f"Three simulated providers ({', '.join(plan.scripts)}), the sidecar and its clients, on real sockets.\n"
            f"The route prefers {PREFERRED}. {plan.duration_s:.1f} s, seed {plan.seed}.",
            err=True,
        )
        with open_view() as view:
            performance = await stage.perform(view)
        report = make_report(plan, performance)
        _print(report, as_json=as_json, wall_s=clock.now() - began_at, is_last=not keep_serving)
        exit_code = exit_code_of(report)
        if keep_serving:
            stopped_by = await _serve(stage)
            exit_code = exit_code or (EXIT_INTERRUPTED if stopped_by == signal.SIGINT else 0)
    return exit_code


def exit_code_of(report: DemoReport) -> int:
    """Return 1 where something happened that must never happen, else 0."""
    return EXIT_BROKEN if broken_invariants(report) else 0


def _print(report: DemoReport, *, as_json: bool, wall_s: float, is_last: bool) -> None:
    if as_json:
        typer.echo(summary_json(report, wall_s=wall_s))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for line in (*summary_lines(report), *(next_lines() if is_last else ())):
            console.print(line)
    sys.stdout.flush()


async def _serve(stage: Stage) -> int:
    """Go on until a signal; return which."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        typer.echo(f"\nServing on {stage.app.url}; the providers' troubles go on in turn. Ctrl-C ends it.", err=True)
        typer.echo(f"  {curl_line(stage.app.url)}", err=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stage.encore)
            async for received in signals:
                tasks.cancel_scope.cancel()
                return received
    return signal.SIGTERM
