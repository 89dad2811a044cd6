"""Rows of a usage report as JSON and CSV, whose amounts have all their digits: no float comes near them."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal

from streamroute.core.cost.fate import WASTED
from streamroute.core.cost.report import UsageQuery, UsageRow, group_texts
from streamroute.core.money import usd_text

SUMS = ("requests", "attempts", "input_tokens", "output_tokens", "cost_usd", "unpriced_attempts")
WASTE = ("unpriced_percent", "wasted_usd", "wasted_percent", *(f"{fate}_usd" for fate in WASTED))
BASELINE = ("baseline_usd", "saved_usd", "saved_percent", "baseline_unpriced_attempts")
ROWS_PER_CHUNK = 200
"""Some 50 KB, a millisecond of work."""


def figure_names(query: UsageQuery) -> list[str]:
    """Return the names of the figures that a report has."""
    return [*SUMS, *(WASTE if query.is_waste_told else ()), *(BASELINE if query.baseline is not None else ())]


def figures(query: UsageQuery, row: UsageRow) -> list[str | None]:
    """Return a row's figures as text, in the order of `figure_names`; None where there is none, such as of nothing."""
    counts = (row.requests, row.attempts, row.input_tokens, row.output_tokens)
    found: list[str | None] = [*map(str, counts), usd_text(row.cost), str(row.unpriced_attempts)]
    if query.is_waste_told:
        wasted = sum(row.wasted.values())
        found += [percent_text(row.unpriced_attempts, row.attempts), usd_text(wasted), percent_text(wasted, row.cost)]
        found += [usd_text(row.wasted[fate]) for fate in WASTED]
    if query.baseline is not None:
        found += [usd_text(row.baseline), usd_text(row.saved), percent_text(row.saved, row.baseline)]
        found.append(str(row.baseline_unpriced_attempts))
    return found


def percent_text(part: int, whole: int) -> str | None:
    """Return a share with two decimals; None of nothing."""
    return None if whole == 0 else f"{Decimal(part) * 100 / Decimal(whole):.2f}"


def json_chunks(query: UsageQuery, rows: Sequence[UsageRow]) -> Iterator[str]:
    """Yield a JSON array of objects, in parts."""
    names = figure_names(query)
    lines = []
    yield "["
    for index, row in enumerate(rows):
        keys = map(json.dumps, group_texts(query.by, row.by))
        values = ("null" if each is None else each for each in figures(query, row))
        fields = zip([*query.by, *names], [*keys, *values], strict=True)
        lines.append("\n  {" + ", ".join(f'"{name}": {value}' for name, value in fields) + "}")
        if len(lines) == ROWS_PER_CHUNK or index == len(rows) - 1:
            yield ",".join(lines) + ("," if index < len(rows) - 1 else "\n")
            lines = []
    yield "]\n"


def csv_chunks(query: UsageQuery, rows: Sequence[UsageRow]) -> Iterator[str]:
    """Yield CSV with a header, in parts; what is null is empty."""
    for start in range(0, max(len(rows), 1), ROWS_PER_CHUNK):
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        if start == 0:
            table.writerow([*query.by, *figure_names(query)])
        for row in rows[start : start + ROWS_PER_CHUNK]:
            table.writerow([*map(_not_a_formula, group_texts(query.by, row.by)), *figures(query, row)])
        yield text.getvalue()


def _not_a_formula(text: str | None) -> str | None:
    """Names are made up by clients, and spreadsheets run what begins like a formula (OWASP, CSV injection)."""
    return f"'{text}" if text is not None and text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
