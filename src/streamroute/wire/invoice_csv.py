"""Reads what providers export about usage and cost, as CSV.

The layouts are those of real exports that people have published, and of tests of public tools that read them: of
OpenAI's dashboard in October 2025 and September 2026 (usage, and costs by line item), of Anthropic's console from 2024
to August 2026 (usage, and cost by token type). Anything else is read by naming its columns.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from streamroute.core.cost.reconciliation import ALL_MODELS, Place, Used, canonical_model

DAY_S = 86_400
_FIELDS = ("date", "model", "input_tokens", "output_tokens", "cost")


class InvoiceError(ValueError):
    """A file that cannot be read, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which columns say what. Several columns of tokens are added up."""

    date: str
    """A date, a time or Unix seconds; a time without a zone is UTC."""
    model: str | None = None
    input_tokens: tuple[str, ...] = ()
    output_tokens: tuple[str, ...] = ()
    cost: str | None = None
    """US dollars."""
    currency: str | None = None
    """Must say USD, where it says anything."""

    @property
    def needs(self) -> set[str]:
        """The columns that must be there."""
        named = {self.date, self.model, self.cost, *self.input_tokens, *self.output_tokens}
        return {each for each in named if each is not None}


LAYOUTS: dict[str, Layout] = {
    "generic": Layout(
        date="date",
        model="model",
        input_tokens=("input_tokens",),
        output_tokens=("output_tokens",),
        cost="cost",
    ),
    "openai-usage": Layout(
        date="start_time_iso", model="model", input_tokens=("input_tokens",), output_tokens=("output_tokens",)
    ),
    "openai-costs": Layout(date="start_time_iso", model="line_item", cost="amount_value", currency="amount_currency"),
    "anthropic-usage": Layout(
        date="usage_date_utc",
        model="model_version",
        input_tokens=(
            "usage_input_tokens_no_cache",
            "usage_input_tokens_cache_write_5m",
            "usage_input_tokens_cache_write_1h",
            "usage_input_tokens_cache_read",
        ),
        output_tokens=("usage_output_tokens",),
    ),
    "anthropic-costs": Layout(date="usage_date_utc", model="model", cost="cost_usd"),
}


def layout_of(text: str) -> Layout:
    """Read `date=day,model=name,input_tokens=prompt+cached,output_tokens=completion,cost=usd`; raises InvoiceError."""
    parts = dict(each.split("=", 1) for each in text.split(",") if "=" in each)
    is_useful = not {"input_tokens", "output_tokens", "cost"}.isdisjoint(parts)
    if "date" not in parts or not set(parts) <= set(_FIELDS) or not is_useful:
        raise InvoiceError(f"expected NAME=COLUMN,... with date, and some of {', '.join(_FIELDS[1:])}, not {text!r}")
    return Layout(
        date=parts["date"],
        model=parts.get("model"),
        input_tokens=tuple(parts["input_tokens"].split("+")) if "input_tokens" in parts else (),
        output_tokens=tuple(parts["output_tokens"].split("+")) if "output_tokens" in parts else (),
        cost=parts.get("cost"),
    )


def read_invoice(lines: Sequence[str], layout: Layout | None, same: Mapping[str, str]) -> dict[Place, Used]:
    """Return what was used by day and model; `layout` None: the first known one whose columns are there.

    Where no line names a model all are `ALL_MODELS`. Raises InvoiceError.
    """
    if not lines:
        raise InvoiceError("the file is empty")
    rows = csv.DictReader(lines, delimiter=max(",;\t", key=lines[0].count))
    columns = set(rows.fieldnames or ())
    layout = layout or next((each for each in LAYOUTS.values() if each.needs <= columns), None)
    if layout is None:
        raise InvoiceError(f"none of the layouts {', '.join(LAYOUTS)} has these columns: {', '.join(sorted(columns))}")
    if not layout.needs <= columns:
        raise InvoiceError(f"there is no column {', '.join(sorted(layout.needs - columns))}")
    found: dict[Place, Used] = {}
    for row in rows:
        try:
            used = _used(row, layout)
            if used is not None:
                model = _model(row, layout, same)
                found.setdefault((_day(row[layout.date]), model), Used()).add(used)
        except (ValueError, InvalidOperation, AttributeError) as error:
            raise InvoiceError(f"line {rows.line_num}: {_said(error)}") from error
    if not found:
        raise InvoiceError("it names no usage at all")
    return found


def _said(error: Exception) -> str:
    return "a figure cannot be read" if isinstance(error, InvalidOperation) else str(error)


def _used(row: Mapping[str, str], layout: Layout) -> Used | None:
    """Return a line's figures; None where it has none, as days without any traffic have."""
    given = [row[name] for name in (*layout.input_tokens, *layout.output_tokens, layout.cost) if name is not None]
    if not any(each and each.strip() for each in given):
        return None
    currency = row.get(layout.currency or "", "") or "usd"
    if currency.lower() != "usd":
        raise ValueError(f"the currency is {currency!r}, and the ledger's is USD")
    return Used(
        input_tokens=_tokens(row, layout.input_tokens),
        output_tokens=_tokens(row, layout.output_tokens),
        cost_usd=None if layout.cost is None else _number(row[layout.cost]),
    )


def _tokens(row: Mapping[str, str], columns: Iterable[str]) -> int | None:
    counts = [_number(row[name]) for name in columns]
    for count in counts:
        if count != int(count):
            raise ValueError(f"{count} is no number of tokens")
    return sum(map(int, counts)) if counts else None


def _number(text: str | None) -> Decimal:
    """Read `59200.0`, `1,234.5`, `$3`; nothing is 0."""
    digits = re.sub(r"[,$\s]", "", text or "")
    number = Decimal(digits or 0)
    if not number.is_finite():
        raise ValueError(f"{text!r} is no figure")
    return number


def _model(row: Mapping[str, str], layout: Layout, same: Mapping[str, str]) -> str:
    """Return the model of a line; of a line item such as `gpt-5-nano, input_tokens` what stands before the comma."""
    name = (row[layout.model] or "").partition(",")[0] if layout.model is not None else ""
    return canonical_model(name, same) if name.strip() else ALL_MODELS


def _day(text: str) -> int:
    text = text.strip()
    if text.isdigit():
        return int(text) // DAY_S
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) // DAY_S
