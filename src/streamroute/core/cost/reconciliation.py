"""What a provider says that was used, beside what the ledger says, by day and model.

Days are UTC. A provider may count a call on the day it began, the ledger on the day it ended: what differs around
midnight evens out on the next day, and in the total. Amounts are exact.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal

EXACT = Context(prec=60)
"""Enough for the thirty decimals that OpenAI writes, of any amount."""
ALL_MODELS = "*"
"""Of an invoice that tells no models apart."""
_DATED = re.compile(r"(-20\d{6}|-20\d\d-\d\d-\d\d|-latest)$")
_SEPARATORS = re.compile(r"[ ._]+")


@dataclass(slots=True, kw_only=True)
class Used:
    """What was used, as far as it is told; None: it is not."""

    input_tokens: int | None = None
    """Those of the cache included."""
    output_tokens: int | None = None
    cost_usd: Decimal | None = None

    def add(self, more: "Used") -> None:
        """Add what is told of more."""
        self.input_tokens = _plus(self.input_tokens, more.input_tokens)
        self.output_tokens = _plus(self.output_tokens, more.output_tokens)
        if more.cost_usd is not None:
            self.cost_usd = EXACT.add(self.cost_usd or Decimal(0), more.cost_usd)


Place = tuple[int, str]
"""A day, as the number of days since the Unix epoch, and a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One day and model, on both sides."""

    place: Place | None
    """None: the total."""
    ledger: Used
    invoice: Used

    @property
    def usd(self) -> Decimal | None:
        """What the ledger says more than the invoice; None where the invoice tells no cost."""
        if self.invoice.cost_usd is None:
            return None
        return EXACT.subtract(self.ledger.cost_usd or Decimal(0), self.invoice.cost_usd)

    def exceeds(self, tolerance_percent: Decimal) -> bool:
        """Return whether the two differ by more, of what the invoice says: in cost, else in tokens."""
        pairs: list[tuple[Decimal | None, Decimal | None]]
        if self.invoice.cost_usd is not None:
            pairs = [(self.ledger.cost_usd, self.invoice.cost_usd)]
        else:
            pairs = [
                (_decimal(self.ledger.input_tokens), _decimal(self.invoice.input_tokens)),
                (_decimal(self.ledger.output_tokens), _decimal(self.invoice.output_tokens)),
            ]
        return any(
            abs(EXACT.subtract(ours or Decimal(0), theirs)) * 100 > tolerance_percent * abs(theirs)
            for ours, theirs in pairs
            if theirs is not None
        )


def drifts(ledger: Mapping[Place, Used], invoice: Mapping[Place, Used]) -> list[Drift]:
    """Return a line for each day and model of either side, in order, and the total as the last."""
    tells = Used()
    for used in invoice.values():
        tells.add(used)
    told = Used(
        input_tokens=None if tells.input_tokens is None else 0,
        output_tokens=None if tells.output_tokens is None else 0,
        cost_usd=None if tells.cost_usd is None else Decimal(0),
    )
    lines = []
    total_ledger, total_invoice = Used(input_tokens=0, output_tokens=0, cost_usd=Decimal(0)), told
    nothing = Used(input_tokens=told.input_tokens, output_tokens=told.output_tokens, cost_usd=told.cost_usd)
    for place in sorted({*ledger, *invoice}):
        ours, theirs = ledger.get(place, Used(input_tokens=0, output_tokens=0, cost_usd=Decimal(0))), invoice.get(place)
        theirs = nothing if theirs is None else theirs
        lines.append(Drift(place=place, ledger=ours, invoice=theirs))
        total_ledger.add(ours)
        total_invoice.add(theirs)
    return [*lines, Drift(place=None, ledger=total_ledger, invoice=total_invoice)]


def canonical_model(name: str, same: Mapping[str, str]) -> str:
    """Return a name under which both sides know a model: `Claude Haiku 4.5` is `claude-haiku-4-5-20251001`.

    Dates of versions are left out, because some invoices have them and some requests do not. `same` maps names to the
    ones that they stand for.
    """
    found = same.get(name.strip(), name)
    return _DATED.sub("", _SEPARATORS.sub("-", found.strip().lower()))


def total_by_day(used: Iterable[tuple[Place, Used]]) -> dict[Place, Used]:
    """Return the same with all models of a day together."""
    days: dict[Place, Used] = {}
    for (day, _), each in used:
        days.setdefault((day, ALL_MODELS), Used()).add(each)
    return days


def _plus(one: int | None, other: int | None) -> int | None:
    return one if other is None else (one or 0) + other


def _decimal(count: int | None) -> Decimal | None:
    return None if count is None else Decimal(count)
