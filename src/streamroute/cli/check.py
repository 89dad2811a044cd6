"""`streamroute check`: is the configuration valid, what is in force, and where did each value come from?

Data goes to standard output, problems to standard error. Exit codes: 0 valid, 78 (EX_CONFIG) not.
"""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamroute.clock import wall
from streamroute.config.explain import Setting, effective
from streamroute.config.listen import require_keys
from streamroute.config.load import load_config
from streamroute.config.model import Config
from streamroute.core.routing.route import AUTO
from streamroute.errors import ConfigError, Problem

EXIT_CONFIG = 78


def check(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="File to check; ./config.toml or the shipped one by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check the configuration and print every effective value with where it came from."""
    problems: Sequence[Problem] = ()
    loaded: Config | None = None
    try:
        found = load_config(config, environ=os.environ)
        _check_keys(found)
        loaded = found
    except ConfigError as error:
        problems = error.problems
    if loaded is None:
        _print_problems(problems, as_json=as_json)
        raise typer.Exit(EXIT_CONFIG)
    if as_json:
        typer.echo(json.dumps(_document(loaded), indent=2))
    elif sys.stdout.isatty():
        _print_tables(loaded)
    else:
        _print_lines(loaded)


def _check_keys(config: Config) -> None:
    """Raise ConfigError where `serve` would refuse to listen, because it knows no key."""
    if config.server.is_loopback or config.server.api_keys or config.ledger.url is None:
        return
    # A fifth of a second for a database that is rarely asked here.
    from streamroute.stores.key_reader import KeyReader  # noqa: PLC0415

    with closing(KeyReader(config.ledger)) as reader:
        ring, trouble = reader.look()
        if trouble is not None:
            ring = reader.known_before()
    live = 0 if ring is None else ring.states(int(wall() * 1000))["live"]
    require_keys(config, live, trouble)


def _print_problems(problems: Sequence[Problem], *, as_json: bool) -> None:
    for problem in problems:
        typer.echo(str(problem), err=True)
    count = len(problems)
    typer.echo(f"{count} problem{'s' if count != 1 else ''} found", err=True)
    if as_json:
        typer.echo(json.dumps({"valid": False, "problems": [asdict(problem) for problem in problems]}, indent=2))


def _document(config: Config) -> dict[str, object]:
    return {
        "valid": True,
        "file": str(config.file),
        "is_simulated": config.is_simulated,
        "settings": [
            {"path": setting.path, "value": setting.value, "where": setting.source.where, "source": str(setting.source)}
            for setting in effective(config)
        ],
        "disabled": [asdict(disabled) for disabled in config.disabled],
        "warnings": list(config.warnings.values()),
        "problems": [],
    }


def _print_lines(config: Config) -> None:
    for setting in effective(config):
        typer.echo(f"{setting.path} = {setting.value}  ({setting.source})")
    for disabled in config.disabled:
        typer.echo(f"disabled {disabled.kind} {disabled.name}: {disabled.reason}")
    for warning in config.warnings.values():
        typer.echo(f"warning: {warning}")
    typer.echo(_verdict(config))


def _print_tables(config: Config) -> None:
    console = Console()
    table = Table("setting", "value", "from", title=str(config.file))
    for setting in effective(config):
        table.add_row(*_cells(setting))
    console.print(table)
    if config.disabled:
        fallen = Table("", "name", "reason", title="disabled")
        for disabled in config.disabled:
            fallen.add_row(Text(disabled.kind), Text(disabled.name), Text(disabled.reason))
        console.print(fallen)
    for warning in config.warnings.values():
        console.print(Text(f"warning: {warning}", "yellow"))
    console.print(Text(_verdict(config)))


def _cells(setting: Setting) -> tuple[Text, Text, Text]:
    style = "dim" if setting.source.where == "default" else ""
    return Text(setting.path, style), Text(setting.value, style), Text(str(setting.source), style)


def _verdict(config: Config) -> str:
    served = ", ".join(config.routes) or "none"
    if config.auto is not None and not config.routes:
        served = f"none; `{AUTO}` chooses among {', '.join(config.auto.upstreams)}"
    warning = " Some answers are SIMULATED: set a provider's key to get real ones." if config.is_simulated else ""
    return f"{config.file} is valid; routes: {served}.{warning}"
