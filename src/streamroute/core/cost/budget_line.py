"""What a budget says: whose spend, how much, and in which window. Written `5USD/day`."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from streamroute.core.money import MAX_MONEY, Money, money, usd_text

Window = Literal["hour", "day", "month", "total"]
"""UTC hours, days and months; `total` never begins anew."""
WINDOWS: tuple[Window, ...] = ("hour", "day", "month", "total")
Scope = Literal["key", "user", "team", "task", "global"]
SCOPES: tuple[Scope, ...] = ("key", "user", "team", "task", "global")

_TEXT = re.compile(r"\s*\$?\s*([0-9]+(?:\.[0-9]+)?)\s*(?:usd)?\s*/\s*([a-z]+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """One budget."""

    scope: Scope
    name: str | None = None
    """Whose spend, of all in `scope`. None: each of them has this much, apart from the others."""
    limit: Money
    """Nothing is begun that might spend more: the hard limit."""
    warn_at: Money | None = None
    """The soft limit: reaching it is logged and counted, and stops nothing."""
    window: Window = "day"
    may_use_unpriced: bool = False
    """Calls whose price nobody knows may be made, and count for nothing."""

    @property
    def identity(self) -> tuple[Scope, str | None, Window]:
        """What makes it the same budget, whatever its limits."""
        return self.scope, self.name, self.window


def parse_amount(text: str) -> tuple[Money, Window]:
    """Read `5USD/day`, `0.50/hour`, `$200/month` or `1000USD/total`; raises ValueError that says what is allowed."""
    found = _TEXT.fullmatch(text)
    window = next((each for each in WINDOWS if found is not None and found[2].lower() == each), None)
    if found is None or window is None:
        raise ValueError(f"{text!r} is not a budget: write an amount and a window ({', '.join(WINDOWS)}), `5USD/day`")
    limit = money(Decimal(found[1]))
    if limit > MAX_MONEY:
        raise ValueError(f"{text!r} is more than the {usd_text(MAX_MONEY)} dollars that are possible")
    return limit, window
