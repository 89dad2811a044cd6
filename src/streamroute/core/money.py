"""Amounts of money as whole picodollars (1e-12 US dollar): they add up to a bill in any order, which floats do not.

A price of one dollar per million tokens is exactly a million picodollars a token, so prices with up to six decimals
per million tokens, and amounts with up to twelve, are exact. Nothing here takes or gives a float.
"""

from decimal import Decimal
from typing import NewType

Money = NewType("Money", int)
"""Picodollars."""

PER_USD = 10**12
PER_TOKEN = 10**6
"""Picodollars a token, for each dollar per million tokens."""
NOTHING = Money(0)
MAX_MONEY = Money(10**6 * PER_USD)
"""A million dollars: whatever is said to cost more in one call is a mistake, and sums of it would leave 64 bits."""
_MOST_EXPONENT = 30
"""Of ten, in what is read as an amount; `MAX_MONEY` has 18."""


def money(usd: Decimal) -> Money:
    """Return an amount in US dollars; raises ValueError where it has more than twelve decimals."""
    return _whole(usd, PER_USD)


def per_token(usd_per_mtok: Decimal) -> Money:
    """Return a price per million tokens as one per token; raises ValueError where it has more than six decimals."""
    return _whole(usd_per_mtok, PER_TOKEN)


def in_usd(amount: int) -> Decimal:
    """Return an amount in US dollars, exactly."""
    sign, digits, _ = Decimal(amount).as_tuple()
    return Decimal((sign, digits, -12))


def usd_text(amount: int) -> str:
    """Write an amount in US dollars with all its digits and no more: `0.0001305`, never `1.305E-4`."""
    text = f"{in_usd(amount):f}".rstrip("0").rstrip(".")
    return text if text not in {"", "-0"} else "0"


def _whole(value: Decimal, factor: int) -> Money:
    places = len(str(factor)) - 1
    if not value:
        return NOTHING
    # A short text may have an exponent of a thousand million: its fraction would take minutes and all memory.
    if value.is_finite() and value.adjusted() < -places:
        raise ValueError(f"{value} has more than {places} decimals")
    if value.is_finite() and value.adjusted() > _MOST_EXPONENT:
        raise ValueError(f"{value} is more money than there is")
    numerator, denominator = value.as_integer_ratio()
    amount, rest = divmod(numerator * factor, denominator)
    if rest:
        raise ValueError(f"{value} has more than {places} decimals")
    return Money(amount)
