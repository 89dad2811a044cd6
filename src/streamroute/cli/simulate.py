"""`streamroute simulate`: one simulated provider on a port, to point clients, routers or curl at.

Its base URL goes to standard output, everything else to standard error. Exit codes: 0 ended by SIGTERM, 130 by
SIGINT, 69 (EX_UNAVAILABLE) the port is not to be had, 78 (EX_CONFIG) the script is wrong.
"""

import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import anyio
import typer

from streamroute.config.suggestion import suggestion
from streamroute.errors import ConfigError, Problem
from streamroute.simulation.profile import Profile
from streamroute.simulation.scenarios import SCENARIOS, Timing
from streamroute.simulation.script import Script
from streamroute.simulation.script_file import load_script
from streamroute.simulation.server import SimulationServer

EXIT_UNAVAILABLE = 69
EXIT_CONFIG = 78
EXIT_INTERRUPTED = 130

_WELL = Script(profile=Profile(ttft_s=0.2, tpot_s=0.02, jitter=0.3, tokens=64))
"""Where nothing is chosen: well, and at a pace that can be watched (50 tokens a second, as hosted models of 2024)."""


def simulate(
    port: Annotated[int, typer.Option("--port", "-p", min=0, max=65535, help="0 takes any free port.")] = 9001,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    script: Annotated[
        Path | None, typer.Option("--script", help="TOML or JSON file that says what goes wrong.")
    ] = None,
    scenario: Annotated[str | None, typer.Option("--scenario", help=f"One of: {', '.join(SCENARIOS)}.")] = None,
    provider: Annotated[str, typer.Option("--provider", help="Whose part in the scenario: a, b or c.")] = "a",
    seed: Annotated[int | None, typer.Option("--seed", help="Of chance; by default the script's own, else 0.")] = None,
) -> None:
    """Run a simulated provider, in the wire formats of OpenAI, Anthropic and Gemini, until it is stopped."""
    try:
        chosen = _choose(script, scenario, provider, seed)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(EXIT_CONFIG) from error
    server = SimulationServer(chosen, host=host, port=port, keep_bodies=False)
    try:
        stopped_by = anyio.run(_serve, server)
    except OSError as error:
        typer.echo(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from error
    typer.echo(_summary(server), err=True)
    if stopped_by == signal.SIGINT:
        raise typer.Exit(EXIT_INTERRUPTED)


def _choose(script: Path | None, scenario: str | None, provider: str, seed: int | None) -> Script:
    if script is not None and scenario is not None:
        raise ConfigError([Problem(path="--script", message="cannot be combined with --scenario")])
    if script is not None:
        loaded = load_script(script)
        return loaded if seed is None else replace(loaded, seed=seed)
    if scenario is None:
        return replace(_WELL, seed=seed or 0)
    if scenario not in SCENARIOS:
        known = ", ".join(SCENARIOS)
        near = suggestion(scenario, SCENARIOS)
        raise ConfigError([Problem(path="--scenario", message=f"no scenario {scenario!r}{near}; there are: {known}")])
    scripts = SCENARIOS[scenario].scripts(seed or 0, Timing.short())
    if provider not in scripts:
        known = ", ".join(scripts)
        raise ConfigError([Problem(path="--provider", message=f"no provider {provider!r}; there are: {known}")])
    return scripts[provider]


async def _serve(server: SimulationServer) -> int:
    """Serve until a signal; return which."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with server:
            phases = len(server.script.phases)
            typer.echo(server.base_url)
            typer.echo(
                f"simulated provider, script {server.script.name!r}, {phases} phase(s); Ctrl-C ends it", err=True
            )
            async for received in signals:
                return received
    return signal.SIGTERM


def _summary(server: SimulationServer) -> str:
    """Return what happened, for the latest requests that the log holds."""
    endings = Counter(record.fault or record.ending or "failed" for record in server.log)
    parts = ", ".join(f"{count} {name}" for name, count in sorted(endings.items()))
    return f"{len(server.log)} requests{': ' if parts else ''}{parts}"
