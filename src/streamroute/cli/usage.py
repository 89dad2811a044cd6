"""`streamroute usage`: what the ledger adds up to.

Exit codes: 0 well, 2 usage, 69 (EX_UNAVAILABLE) the ledger cannot be read, 78 (EX_CONFIG) the configuration is wrong.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streamroute.cli.whole_table import print_whole
from streamroute.clock import wall
from streamroute.config.load import load_config
from streamroute.config.model import Config
from streamroute.core.cost.report import GROUPINGS, UsageQuery, UsageRow, group_texts, total_row
from streamroute.errors import ConfigError, StoreError
from streamroute.reports import usage_report
from streamroute.wire.usage_query import QueryError, usage_query
from streamroute.wire.usage_text import WASTE, csv_chunks, figure_names, figures, json_chunks

EXIT_UNAVAILABLE = 69
EXIT_CONFIG = 78
NAME_WIDTH = 40
_WHEN = "30m, 24h, 7d, 4w, or a date or time (UTC) such as 2026-11-01."

Only = Annotated[list[str] | None, typer.Option(help="Only this; repeat it for several, '' for those without.")]


def usage(  # noqa: PLR0913 - typer declares options as arguments
    *,
    by: Annotated[
        str,
        typer.Option("--by", help=f"What to group by, separated by commas: {', '.join(GROUPINGS)}; '' for a total."),
    ] = "upstream",
    since: Annotated[str | None, typer.Option("--since", help=_WHEN)] = None,
    until: Annotated[str | None, typer.Option("--until", help=f"Not included. {_WHEN}")] = None,
    task: Only = None,
    user: Only = None,
    team: Only = None,
    key: Only = None,
    provider: Only = None,
    upstream: Only = None,
    route: Only = None,
    model: Only = None,
    service_tier: Only = None,
    cause: Only = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", help="What answers would have cost at this upstream or provider/model."),
    ] = None,
    waste: Annotated[
        bool, typer.Option("--waste", help="What was spent on calls that brought no answer, by cause.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="TOML file; ./config.toml or the shipped one by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
) -> None:
    """Add up the ledger: requests, attempts, tokens and cost."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    only = {
        "task": task, "user": user, "team": team, "key": key, "provider": provider, "upstream": upstream,
        "route": route, "model": model, "service_tier": service_tier, "cause": cause,
    }  # fmt: skip
    try:
        query = usage_query(
            int(wall() * 1000),
            by=by,
            since=since,
            until=until,
            only={name: values for name, values in only.items() if values},
            baseline=baseline,
            is_waste_told=waste,
        )
    except QueryError as error:
        raise typer.BadParameter(str(error), param_hint=f"--{error.part}") from None
    rows = _rows(config_or_exit(config), query)
    if as_json or as_csv:
        for chunk in (json_chunks if as_json else csv_chunks)(query, rows):
            sys.stdout.write(chunk)
    else:
        _print_table(query, rows)


def config_or_exit(file: Path | None) -> Config:
    """Return the configuration; leaves the program where it is wrong."""
    try:
        return load_config(file, environ=os.environ)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(EXIT_CONFIG) from None


def unavailable(error: StoreError) -> typer.Exit:
    """Say why the ledger cannot be read; return how the program is to end."""
    typer.echo(f"the ledger cannot be read: {error}", err=True)
    return typer.Exit(EXIT_UNAVAILABLE)


def _rows(config: Config, query: UsageQuery) -> list[UsageRow]:
    try:
        return usage_report(config, query)
    except StoreError as error:
        raise unavailable(error) from None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--baseline") from None


def _print_table(query: UsageQuery, rows: Sequence[UsageRow]) -> None:
    if not rows:
        typer.echo("nothing was written down in that time")
        return
    lines = [(group_texts(query.by, row.by), _shown_figures(query, row)) for row in rows]
    if query.by:
        total = total_row(rows)
        lines.append((["total", *[""] * (len(query.by) - 1)], _shown_figures(query, total)))
    table = Table(box=None, pad_edge=False)
    for grouping in query.by:
        table.add_column(grouping, overflow="fold", max_width=NAME_WIDTH)
    shown = [i for i, name in enumerate(figure_names(query)) if _is_shown(name, lines, i)]
    for i in shown:
        table.add_column(figure_names(query)[i].replace("_", " "), justify="right")
    for index, (keys, values) in enumerate(lines):
        is_total = bool(query.by) and index == len(lines) - 1
        table.add_row(
            *("-" if key is None else key for key in keys),
            *(values[i] or "-" for i in shown),
            style="bold" if is_total else None,
        )
    print_whole(table)


def _shown_figures(query: UsageQuery, row: UsageRow) -> list[str | None]:
    """Return a row's figures for people: what nobody knows the price of has not cost nothing."""
    values = figures(query, row)
    if row.unpriced_attempts and not row.cost:
        values[figure_names(query).index("cost_usd")] = "unknown"
    return values


def _is_shown(name: str, lines: Sequence[tuple[list[str | None], list[str | None]]], index: int) -> bool:
    """Kinds of waste, and what the baseline has no price for, are columns only where there are any."""
    is_kind = name in WASTE and name not in {"unpriced_percent", "wasted_usd", "wasted_percent"}
    is_rare = is_kind or name == "baseline_unpriced_attempts"
    return not is_rare or any(values[index] != "0" for _, values in lines)
