"""`streamroute usage`: what the ledger adds up to.

Exit codes: 0 well, 2 usage, 69 (EX_UNAVAILABLE) the ledger cannot be read, 78 (EX_CONFIG) the configuration is wrong.
"""

import csv
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from streamroute.cli.moments import moment_ms, span_s
from streamroute.clock import wall
from streamroute.config.load import load_config
from streamroute.core.cost.report import DAY_MS, GROUPINGS, Grouping, UsageRow
from streamroute.core.money import usd_text
from streamroute.errors import ConfigError, StoreError
from streamroute.stores.usage import read_usage

EXIT_UNAVAILABLE = 69
EXIT_CONFIG = 78
_SUMS = ("requests", "attempts", "input_tokens", "output_tokens", "cost_usd", "unpriced_attempts")


def usage(
    by: Annotated[
        str,
        typer.Option("--by", help=f"What to group by, separated by commas: {', '.join(GROUPINGS)}; '' for a total."),
    ] = "upstream",
    since: Annotated[
        str | None, typer.Option("--since", help="30m, 24h, 7d, 4w, or a date or time (UTC) such as 2026-11-01.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="TOML file; ./config.toml or the shipped one by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of objects.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
) -> None:
    """Add up the ledger: requests, attempts, tokens and cost."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    groupings, since_ms = _groupings(by), _since_ms(since)
    try:
        rows = read_usage(_url(config), groupings, since_ms)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(EXIT_CONFIG) from None
    except StoreError as error:
        typer.echo(f"the ledger cannot be read: {error}", err=True)
        raise typer.Exit(EXIT_UNAVAILABLE) from None
    if as_json:
        typer.echo(_json(groupings, rows))
    elif as_csv:
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow([*groupings, *_SUMS])
        table.writerows([*(_shown(groupings, row)), *_sums(row)] for row in rows)
    else:
        _print_table(groupings, rows)


def _url(config: Path | None) -> str:
    url = load_config(config, environ=os.environ).ledger.url
    if url is None:
        raise StoreError("there is none: `ledger.url` is off")
    return url


def _groupings(text: str) -> list[Grouping]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in GROUPINGS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(GROUPINGS)}", param_hint="--by")
    return [cast(Grouping, name) for name in dict.fromkeys(names)]


def _since_ms(text: str | None) -> int:
    if text is None:
        return 0
    ago_s, moment = span_s(text), moment_ms(text)
    if ago_s is not None:
        return round((wall() - ago_s) * 1000)
    if moment is None:
        raise typer.BadParameter(f"{text!r} is neither 24h, 7d nor a date", param_hint="--since")
    return moment


def _shown(groupings: Sequence[Grouping], row: UsageRow) -> list[str | None]:
    """Return the values of the groupings as text; a day as its date."""
    return [
        datetime.fromtimestamp(int(value) * DAY_MS / 1000, UTC).date().isoformat()
        if name == "day" and value is not None
        else None
        if value is None
        else str(value)
        for name, value in zip(groupings, row.by, strict=True)
    ]


def _sums(row: UsageRow) -> list[str]:
    """Return the sums as text, in the order of `_SUMS`: a float could not hold every amount."""
    counts = (row.requests, row.attempts, row.input_tokens, row.output_tokens)
    return [*map(str, counts), usd_text(row.cost), str(row.unpriced_attempts)]


def _json(groupings: Sequence[Grouping], rows: Sequence[UsageRow]) -> str:
    """Write the rows as JSON whose numbers have all their digits."""
    lines = []
    for row in rows:
        values = [*map(json.dumps, _shown(groupings, row)), *_sums(row)]
        fields = zip([*groupings, *_SUMS], values, strict=True)
        lines.append("  {" + ", ".join(f'"{name}": {value}' for name, value in fields) + "}")
    return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"


def _print_table(groupings: Sequence[Grouping], rows: Sequence[UsageRow]) -> None:
    table = Table(box=None, pad_edge=False)
    for grouping in groupings:
        table.add_column(grouping, overflow="fold")
    sums = [_sums(row) for row in rows]
    for i, name in enumerate(_SUMS):  # a figure is never cut, however narrow the terminal
        width = max((len(each[i]) for each in sums), default=1)
        table.add_column(name.replace("_", " "), justify="right", min_width=width)
    for row in rows:
        table.add_row(*(value or "-" for value in _shown(groupings, row)), *_sums(row))
    Console().print(table if rows else "nothing was written down in that time")
