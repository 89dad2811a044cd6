"""`streamroute reconcile`: a provider's invoice beside the ledger.

Exit codes: 0 they agree, 1 a line differs by more than the tolerance, 2 usage, or the file cannot be read, 69 the
ledger cannot be read, 78 the configuration is wrong.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from streamroute.cli.usage import config_or_exit, unavailable
from streamroute.cli.whole_table import print_whole
from streamroute.config.model import Config
from streamroute.core.cost.reconciliation import (
    ALL_MODELS,
    EXACT,
    Drift,
    Place,
    Used,
    canonical_model,
    drifts,
    total_by_day,
)
from streamroute.core.cost.report import DAY_MS, UsageQuery, group_texts
from streamroute.core.money import in_usd
from streamroute.errors import StoreError
from streamroute.reports import usage_report
from streamroute.wire.invoice_csv import LAYOUTS, InvoiceError, Layout, layout_of, read_invoice

EXIT_DRIFT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A line of the report as text, by column; None: nobody tells it."""

    values: dict[str, str | None]
    is_within: bool


def reconcile(
    invoice: Annotated[Path, typer.Argument(help="The provider's CSV.", exists=True, dir_okay=False)],
    *,
    provider: Annotated[
        list[str], typer.Option("--provider", help="Whose it is, by its name in the configuration; may be repeated.")
    ],
    layout: Annotated[
        str | None,
        typer.Option("--layout", help=f"One of {', '.join(LAYOUTS)}; by default the one whose columns are there."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", help="Instead: date=A,model=B,input_tokens=C+D,output_tokens=E,cost=F."),
    ] = None,
    same: Annotated[
        list[str] | None,
        typer.Option("--same", help="THEIRS=OURS: a model's name in the invoice and in the ledger; may be repeated."),
    ] = None,
    tolerance: Annotated[str, typer.Option("--tolerance", help="Per cent of what the invoice says.")] = "1",
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="TOML file; ./config.toml or the shipped one by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of objects.")] = False,
) -> None:
    """Compare a provider's invoice with the ledger, by day and model."""
    allowed = _percent(tolerance)
    names = dict(_pair(each) for each in same or ())
    try:
        chosen = layout_of(columns) if columns is not None else None if layout is None else _layout(layout)
        theirs = read_invoice(invoice.read_text(encoding="utf-8-sig").splitlines(), chosen, names)
    except (InvoiceError, UnicodeError, OSError) as error:
        raise typer.BadParameter(f"{invoice}: {error}") from None
    loaded = config_or_exit(config)
    for name in provider:
        if name not in loaded.providers and name not in {each.name for each in loaded.disabled}:
            raise typer.BadParameter(f"there is no provider {name!r}", param_hint="--provider")
    ours = _ledger(loaded, provider, theirs, names)
    lines = [_line(drift, allowed) for drift in drifts(ours, theirs)]
    if as_json:
        fields = (
            ", ".join(f'"{name}": {_json(name, value)}' for name, value in line.values.items())
            + f', "is_within_tolerance": {json.dumps(line.is_within)}'
            for line in lines
        )
        sys.stdout.write("[\n  {" + "},\n  {".join(fields) + "}\n]\n")
    else:
        _print_table(lines)
    if not all(line.is_within for line in lines):
        raise typer.Exit(EXIT_DRIFT)


def _percent(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise typer.BadParameter(f"{text!r} is no percentage", param_hint="--tolerance")
    return value


def _layout(name: str) -> Layout:
    if name not in LAYOUTS:
        raise InvoiceError(f"there is no layout {name!r}; there are {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def _pair(text: str) -> tuple[str, str]:
    theirs, sign, ours = text.partition("=")
    if not sign or not theirs.strip() or not ours.strip():
        raise typer.BadParameter(f"expected THEIRS=OURS, not {text!r}", param_hint="--same")
    return theirs.strip(), ours.strip()


def _ledger(
    config: Config, providers: Sequence[str], invoice: dict[Place, Used], names: dict[str, str]
) -> dict[Place, Used]:
    """Return the ledger's side of the days from the invoice's first to its last."""
    days = [day for day, _ in invoice]
    query = UsageQuery(
        by=("day", "model"),
        since_ms=min(days) * DAY_MS,
        until_ms=(max(days) + 1) * DAY_MS,
        only={"provider": tuple(providers)},
    )
    found: dict[Place, Used] = {}
    try:
        rows = usage_report(config, query)
    except StoreError as error:
        raise unavailable(error) from None
    for row in rows:
        if row.attempts:
            day, model = row.by
            used = Used(input_tokens=row.input_tokens, output_tokens=row.output_tokens, cost_usd=in_usd(row.cost))
            found.setdefault((int(day or 0), canonical_model(str(model), names)), Used()).add(used)
    return total_by_day(found.items()) if all(model == ALL_MODELS for _, model in invoice) else found


def _line(drift: Drift, tolerance_percent: Decimal) -> _Line:
    day, model = (None, None) if drift.place is None else group_texts(("day", "model"), drift.place)
    ledger, invoice = drift.ledger, drift.invoice
    percent = None
    if drift.usd is not None and invoice.cost_usd:
        percent = f"{EXACT.divide(drift.usd * 100, invoice.cost_usd):.2f}"
    return _Line(
        values={
            "day": day,
            "model": model,
            "ledger_usd": _plain(ledger.cost_usd),
            "invoice_usd": _plain(invoice.cost_usd),
            "drift_usd": _plain(drift.usd),
            "drift_percent": percent,
            "ledger_input_tokens": _count(ledger.input_tokens),
            "invoice_input_tokens": _count(invoice.input_tokens),
            "ledger_output_tokens": _count(ledger.output_tokens),
            "invoice_output_tokens": _count(invoice.output_tokens),
        },
        is_within=not drift.exceeds(tolerance_percent),
    )


def _plain(amount: Decimal | None) -> str | None:
    """Write an amount with all its digits and no more."""
    if amount is None:
        return None
    text = f"{amount:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-0"} else text


def _count(count: int | None) -> str | None:
    return None if count is None else str(count)


def _json(name: str, value: str | None) -> str:
    return json.dumps(value) if value is None or name in {"day", "model"} else value


def _print_table(lines: Sequence[_Line]) -> None:
    table = Table(box=None, pad_edge=False)
    shown = [name for name in lines[0].values if any(line.values[name] is not None for line in lines)]
    for name in shown:
        table.add_column(name.replace("_", " "), justify="left" if name in {"day", "model"} else "right")
    table.add_column("")
    for line in lines:
        cells = [line.values[name] or ("total" if name == "day" else "-") for name in shown]
        table.add_row(*cells, "" if line.is_within else "DRIFT")
    print_whole(table)
