"""What other sidecars on the same ledger spend: from sums of its rows to the accounts of budgets.

What they have written is read again and again, from some minutes ago on. What is older than that is certain, since it
is not read again; what is younger passes, and is replaced when it is read the next time.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from streamroute.core.cost.budget import Elsewhere, Key, Subject, window_start_ms
from streamroute.core.cost.budget_line import WINDOWS, BudgetLine, Scope
from streamroute.core.money import NOTHING, Money

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentElsewhere:
    """What a name has spent in part of an hour."""

    scope: Scope
    name: str | None
    """None: everybody, of the scope `global`."""
    hour_ms: int
    """When the hour began. Every window consists of whole hours."""
    is_certain: bool
    cost: Money


def heard_of(
    lines: Iterable[BudgetLine], spent: Iterable[SpentElsewhere], before: Collection[Key], now_ms: int
) -> list[tuple[Key, Elsewhere]]:
    """Return what is to be told to each account. `before`: those for which something had passed at the last reading."""
    starts = {window: window_start_ms(window, now_ms) for window in WINDOWS}
    named: dict[tuple[Scope, str | None], list[BudgetLine]] = {}
    for line in lines:
        named.setdefault((line.scope, line.name), []).append(line)
    certain: dict[Key, int] = {}
    passing: dict[Key, int] = {}
    for each in spent:
        found = named.get((each.scope, None), [])
        if each.name is not None:
            found = [*found, *named.get((each.scope, each.name), ())]
        sums = certain if each.is_certain else passing
        for line in found:
            if each.hour_ms >= starts[line.window]:
                key = Subject(line, each.name).key
                sums[key] = sums.get(key, 0) + each.cost
    return [
        (
            key,
            Elsewhere(
                starts[key[2]], certain=Money(certain.get(key, NOTHING)), passing=Money(passing.get(key, NOTHING))
            ),
        )
        for key in {**dict.fromkeys(before), **certain, **passing}
    ]
