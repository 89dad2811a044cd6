"""Reports over the ledger: what is asked for, sums that add up, what was wasted, and what it would have cost elsewhere.

By whatever they are grouped, sums add up to the same. A request belongs to whoever answered it, to none where nobody
did; an attempt to whoever was called. Attempts of active probes belong to no request. Requests have no service tier and
no cause: these are of attempts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple, get_args

from streamroute.core.cost.fate import WASTED
from streamroute.core.cost.price import Price
from streamroute.core.money import NOTHING, Money

Grouping = Literal[
    "task", "user", "team", "key", "provider", "upstream", "route", "model", "service_tier", "cause", "day", "month"
]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
FILTERS: tuple[Grouping, ...] = tuple(name for name in GROUPINGS if name not in {"day", "month"})
DAY_S = 86_400
DAY_MS = 1000 * DAY_S

GroupKey = tuple[str | int | None, ...]
"""One value for each grouping that was asked for; a day is the number of days since the Unix epoch, a month the number
of months since the year 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuery:
    """What a report is about."""

    by: tuple[Grouping, ...] = ()
    since_ms: int = 0
    until_ms: int | None = None
    """Exclusive."""
    only: Mapping[Grouping, tuple[str | None, ...]] = field(default_factory=dict)
    """For a name of `FILTERS` the values that count; None is for attempts without one."""
    baseline: str | None = None
    """An upstream, or `provider/model`."""
    is_waste_told: bool = False


@dataclass(slots=True, kw_only=True)
class Sums:
    """Of some attempts and requests."""

    requests: int = 0
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: Money = NOTHING
    """Of the attempts whose price is known."""
    unpriced_attempts: int = 0


class Line(NamedTuple):
    """Sums of a group, a day and a fate; the latter two where they are needed."""

    by: GroupKey
    day: int | None
    fate: str | None
    sums: Sums


@dataclass(slots=True, kw_only=True)
class UsageRow(Sums):
    """One group of a report."""

    by: GroupKey
    wasted: dict[str, Money] = field(default_factory=lambda: dict.fromkeys(WASTED, NOTHING))
    """By fate."""
    baseline: Money = NOTHING
    """What the tokens of answers would have cost there."""
    baseline_unpriced_attempts: int = 0
    """Answers of days for which the baseline has no price."""

    @property
    def saved(self) -> Money:
        """What less was paid than there, with all that was wasted here."""
        return Money(self.baseline - self.cost)


def usage_rows(lines: Iterable[Line], baseline: Callable[[int], Price | None] | None = None) -> list[UsageRow]:
    """Return one row for each group, the dearest first. `baseline` is the price on a day."""
    rows: dict[GroupKey, UsageRow] = {}
    for line in lines:
        row = rows.setdefault(line.by, UsageRow(by=line.by))
        _add(row, line.sums)
        if line.fate in row.wasted:
            row.wasted[line.fate] = Money(row.wasted[line.fate] + line.sums.cost)
        elif line.fate == "answer" and line.day is not None and baseline is not None:
            price = baseline(line.day)
            if price is None:
                row.baseline_unpriced_attempts += line.sums.attempts
            else:
                row.baseline = Money(row.baseline + cost_at(price, line.sums))
    return sorted(rows.values(), key=lambda row: (-row.cost, [str(each) for each in row.by]))


def total_row(rows: Iterable[UsageRow]) -> UsageRow:
    """Return the sum of all rows."""
    total = UsageRow(by=())
    for row in rows:
        _add(total, row)
        total.wasted = {fate: Money(total.wasted[fate] + cost) for fate, cost in row.wasted.items()}
        total.baseline = Money(total.baseline + row.baseline)
        total.baseline_unpriced_attempts += row.baseline_unpriced_attempts
    return total


def month_of(day: int) -> int:
    """Return the month of a day, both as in `GroupKey`."""
    at = datetime.fromtimestamp(day * DAY_S, UTC)
    return at.year * 12 + at.month - 1


def group_texts(by: Sequence[Grouping], key: GroupKey) -> list[str | None]:
    """Return the values of a group as text: a day as its date, a month as `2026-11`."""
    return [None if value is None else _text(name, value) for name, value in zip(by, key, strict=True)]


def _text(name: Grouping, value: str | int) -> str:
    if name == "day":
        return datetime.fromtimestamp(int(value) * DAY_S, UTC).date().isoformat()
    if name == "month":
        year, month = divmod(int(value), 12)
        return f"{year:04}-{month + 1:02}"
    return str(value)


def _add(row: Sums, more: Sums) -> None:
    for name in Sums.__slots__:
        setattr(row, name, getattr(row, name) + getattr(more, name))


def cost_at(price: Price, sums: Sums) -> int:
    """Return what calls cost together; unlike `Price.cost` it has no limit, and no other
    price for long prompts: both are for one call, and a sum does not say how long each of them was."""
    plain = sums.input_tokens - sums.cached_input_tokens - sums.cache_write_tokens
    return (
        max(plain, 0) * price.input
        + sums.cached_input_tokens * price.cached_input
        + sums.cache_write_tokens * price.cache_write
        + (sums.output_tokens - sums.reasoning_tokens) * price.output
        + sums.reasoning_tokens * price.reasoning
        + sums.attempts * price.per_request
    )
