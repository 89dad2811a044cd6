"""`streamroute routing`: what routing has come to, and what it has learned.

Exit codes: 0 well, 2 usage, 69 (EX_UNAVAILABLE) the ledger cannot be read, 78 (EX_CONFIG) the configuration is wrong.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, get_args

import typer
from rich.table import Table

from streamroute.cli.routing_fit import fit
from streamroute.cli.routing_state import ConfigFile, reset, show
from streamroute.cli.usage import config_or_exit, unavailable
from streamroute.cli.whole_table import print_whole
from streamroute.clock import wall
from streamroute.core.quality.quality_outcome import QualitySource
from streamroute.core.routing.figures import (
    DIMENSIONS,
    Dimension,
    GroupFigures,
    RoutingFigures,
    figures_document,
    shown,
)
from streamroute.core.routing.figures import group_document as document_of
from streamroute.core.upstream import Route
from streamroute.errors import StoreError
from streamroute.reports import routing_report
from streamroute.wire.usage_query import QueryError, usage_query

_WHEN = "30m, 24h, 7d, 4w, or a date or time (UTC) such as 2026-11-01."

app = typer.Typer(
    name="routing",
    help="What routing has come to, and what it has learned.",
    no_args_is_help=True,
    add_completion=False,
)
app.command()(show)
app.command()(reset)
app.command()(fit)


@app.command()
def report(
    *,
    by: Annotated[
        str, typer.Option("--by", help=f"What to group by, separated by commas: {', '.join(DIMENSIONS)}.")
    ] = "route,tier",
    since: Annotated[str, typer.Option("--since", help=_WHEN)] = "7d",
    until: Annotated[str | None, typer.Option("--until", help=f"Not included. {_WHEN}")] = None,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with every grouping.")] = False,
) -> None:
    """Add up shares, cost, savings and quality by tier, domain and task, from the ledger.

    Savings are against the large model of each route: the first upstream of its last tier, else its dearest.
    What audits cost is told apart from what answers cost, and is no saving.
    """
    dimensions = _dimensions(by)
    try:
        query = usage_query(int(wall() * 1000), by="", since=since, until=until)
    except QueryError as error:
        raise typer.BadParameter(str(error), param_hint=f"--{error.part}") from None
    loaded = config_or_exit(config)
    try:
        figures = routing_report(loaded, query.since_ms, query.until_ms)
    except StoreError as error:
        raise unavailable(error) from None
    if as_json:
        sys.stdout.write(json.dumps(figures_document(figures), indent=2) + "\n")
    else:
        _print(figures, dimensions, loaded.served)


def _dimensions(text: str) -> list[Dimension]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = {str(name): name for name in DIMENSIONS}
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(DIMENSIONS)}", param_hint="--by")
    return [known[name] for name in dict.fromkeys(names)]


def _names(
    dimensions: Sequence[Dimension], key: Sequence[str | int | None], routes: Mapping[str, Route]
) -> Iterator[str]:
    """Name a group; a tier by its number and, where the route is told too, by its models of now."""
    of = dict(zip(dimensions, key, strict=True))
    for name, value in of.items():
        told = shown(name, value)
        route = routes.get(str(of.get("route")))
        if name == "tier" and isinstance(value, int) and route is not None and value < len(route.tiers):
            told = f"{told} ({', '.join(route.tiers[value])})"
        yield "-" if told is None else str(told)


def _print(figures: RoutingFigures, dimensions: list[Dimension], routes: Mapping[str, Route]) -> None:
    if not figures.groups:
        typer.echo("nothing was written down in that time")
        return
    total = figures.total
    sources = [source for source in get_args(QualitySource) if source in total.quality]
    table = Table(box=None, pad_edge=False)
    for name in dimensions:
        table.add_column(name, overflow="fold", max_width=40)
    audits = ["audits usd"] if total.audits else []
    for column in ("requests", "share", "cost usd", *audits, "saved %", *(f"quality ({source})" for source in sources)):
        table.add_column(column, justify="right")
    for key, each in figures.by(dimensions).items():
        table.add_row(*_names(dimensions, key, routes), *_cells(each, total, sources))
    if dimensions:
        names = ["total", *[""] * (len(dimensions) - 1)]
        table.add_row(*names, *_cells(total, total, sources), style="bold")
    print_whole(table)
    for source, reliability in figures.reliability.items():
        typer.echo(f"\npredicted and observed quality ({source}), calibration error {reliability.error or 0.0:.3f}")
        bins = Table(box=None, pad_edge=False)
        for column in ("predicted", "observed", "answers"):
            bins.add_column(column, justify="right")
        for found in reliability.bins:
            if found.weight:
                predicted, observed = found.predicted / found.weight, found.observed / found.weight
                bins.add_row(f"{predicted:.3f}", f"{observed:.3f}", str(found.count))
        print_whole(bins)


def _cells(figures: GroupFigures, total: GroupFigures, sources: list[str]) -> list[str]:
    document = document_of(figures, total.requests)
    share, saved = document["share"], document["saved_percent"]
    means = [figures.quality[source].mean if source in figures.quality else None for source in sources]
    return [
        str(figures.requests),
        "-" if share is None else f"{100 * float(str(share)):.1f} %",
        f"{document['cost_usd']}{' ?' if figures.unpriced_calls else ''}",
        *([str(document["audits_usd"])] if total.audits else []),
        "-" if saved is None else str(saved),
        *("-" if mean is None else f"{mean:.3f}" for mean in means),
    ]
