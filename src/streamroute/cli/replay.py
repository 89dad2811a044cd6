"""`streamroute replay`: what a recorded workload would have come to under another configuration.

Exit codes: 0 well, 1 no line could be gone by, 2 usage, 78 (EX_CONFIG) the configuration is wrong.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streamroute.cli.usage import config_or_exit
from streamroute.cli.whole_table import print_whole
from streamroute.clock import wall
from streamroute.config.model import Config
from streamroute.config.prices import price_book
from streamroute.core.cost.price_now import priced_at
from streamroute.core.cost.pricing import Pricing, Terms
from streamroute.core.routing.off_policy import Evaluation, Interval, Replayed, evaluate
from streamroute.core.routing.recorded import RecordedDecision, RecordedOutcome
from streamroute.core.routing.route import Catalog
from streamroute.engine.needs import Needs
from streamroute.engine.replaying import NO_TIERS, Replaying
from streamroute.errors import RequestError
from streamroute.wire.routing_log import ForeignLineError, LineError, read_line

FOREIGN = 3
"""Lines at the beginning of a file that no sidecar has written: then the rest of it is not read. A log that was cut
begins with one such line at most."""
METHOD = "doubly robust, self-normalised"
SHOWN = 20
"""Lines that cannot be read, at most; the others are counted."""


def replay(
    *,
    log: Annotated[
        list[Path],
        typer.Argument(help="Files that `log` of the section `routing` names, oldest first.", show_default=False),
    ],
    config: Annotated[Path, typer.Option("--config", "-c", help="The other configuration.", show_default=False)],
    seed: Annotated[int, typer.Option("--seed", help="Of draws and resamples.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Decide a recorded workload anew by another configuration: cost, quality and shares of tiers, with intervals.

    Quality is estimated doubly robustly from the recorded estimates, chances and judged answers.
    """
    loaded = config_or_exit(config)
    decisions, outcomes, unreadable = _read(log)
    replaying = _replaying(loaded, seed)
    rows: list[Replayed] = []
    refused: Counter[str] = Counter()
    without_policy: set[str] = set()
    for recorded in decisions:
        try:
            decision = replaying.redecided(recorded)
        except RequestError as error:
            refused[error.code or error.kind] += 1
            continue
        rows.append(replaying.compared(recorded, decision, outcomes.get(recorded.id, ())))
        if decision.route.tier_policy is not None:
            without_policy.add(decision.route.name)
    if not rows:
        typer.echo("no request to go by: the log has none that the other configuration would serve", err=True)
        raise typer.Exit(1)
    evaluation = evaluate(rows, seed=seed)
    if as_json:
        document = {"method": METHOD, "unreadable_lines": unreadable, "refused": dict(refused), **asdict(evaluation)}
        document["without_tier_policy"] = sorted(without_policy)
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        _print(evaluation, refused, unreadable)
    for name in sorted(without_policy):
        typer.echo(
            f"route {name} goes by a tier policy, which reads words, and the log has none: it is replayed as if every "
            "request began with its first tier",
            err=True,
        )


def _replaying(config: Config, seed: int) -> Replaying:
    book, at_ms = price_book(config), int(wall() * 1000)
    upstreams = priced_at(config.upstreams, book, at_ms)
    catalog = Catalog(routes=config.routes, upstreams=upstreams, auto=config.auto)
    pricing = Pricing(Terms(prices=book, find=upstreams.get))
    return Replaying(
        catalog,
        Needs(options=config.routing, required=config.requirements),
        lambda chat, upstream: pricing.most(upstream, chat, at_ms),
        seed=seed,
    )


def _read(
    files: Sequence[Path],
) -> tuple[list[RecordedDecision], dict[str, list[RecordedOutcome]], int]:
    """Return what the files hold; lines that cannot be read are told and passed over."""
    decisions: dict[str, RecordedDecision] = {}
    outcomes: dict[str, list[RecordedOutcome]] = {}
    unreadable = 0
    for file in files:
        foreign: int | None = 0  # None: something of it is a routing log's
        for number, line in _lines(file):
            try:
                found = read_line(line)
            except LineError as error:
                unreadable += 1
                if unreadable <= SHOWN:
                    typer.echo(f"{file}:{number}: {error}", err=True)
                if foreign is not None and isinstance(error, ForeignLineError):
                    foreign += 1
                    if foreign == FOREIGN:
                        typer.echo(f"{file}: this is no routing log", err=True)
                        break
                continue
            if found is not None:
                foreign = None
            if isinstance(found, RecordedDecision):
                decisions[found.id] = found
            elif found is not None:
                outcomes.setdefault(found.id, []).append(found)
    if unreadable > SHOWN:
        typer.echo(f"and {unreadable - SHOWN} more lines that cannot be read", err=True)
    return list(decisions.values()), outcomes, unreadable


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with file.open("rb") as lines:
            yield from enumerate(lines, 1)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="LOG") from None


def _print(evaluation: Evaluation, refused: Counter[str], unreadable: int) -> None:
    found = evaluation
    table = Table(box=None, pad_edge=False)
    for name in ("", "recorded", "replayed", "95 %"):
        table.add_column(name, justify="left" if not name else "right")
    row = partial(_add_row, table)
    row("cost of 1000 requests, usd", found.recorded_cost_usd, found.cost_usd, 1000.0)
    row("quality", found.recorded_quality, found.quality)
    row("mean of the judged answers", found.judged_quality, None)
    for name in sorted({*found.recorded_shares, *found.shares}):
        what = "first asked: no tiers" if name == NO_TIERS else f"first asked: tier {name}"
        row(f"{what}, %", found.recorded_shares.get(name), found.shares.get(name), 100.0)
    print_whole(table)
    for name, interval, factor in (("saved, %", found.saved, 100.0), ("quality gained", found.gained, 1.0)):
        if interval is not None:
            typer.echo(f"{name}: {interval.value * factor:.3g} ({_span(interval, factor)})")
    typer.echo(
        f"{found.requests} requests, {found.same} begin with the same upstream; {found.judged} answers were judged, "
        f"{found.seen} of whoever would be asked (worth {found.effective:.0f}); quality: {METHOD}",
        err=True,
    )
    for code, count in refused.items():
        typer.echo(f"{count} requests would be refused: {code}", err=True)
    if unreadable:
        typer.echo(f"{unreadable} lines could not be read", err=True)


def _add_row(table: Table, name: str, was: Interval | None, now: Interval | None, factor: float = 1.0) -> None:
    shown = ["-" if each is None else f"{each.value * factor:.4g}" for each in (was, now)]
    table.add_row(name, *shown, "" if now is None else _span(now, factor))


def _span(interval: Interval, factor: float) -> str:
    return f"{interval.low * factor:.4g} to {interval.high * factor:.4g}"
