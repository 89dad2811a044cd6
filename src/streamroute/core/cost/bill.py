"""What one request has cost: the sum of its attempts, as they end."""

from collections.abc import Callable

from streamroute.core.money import NOTHING, Money, usd_text
from streamroute.core.usage import Usage

CostText = Callable[[Usage], str | None]
"""Says what a request has cost once a call with this usage is added, in US dollars with all their digits; None where
nobody knows."""


class Bill:
    """Adds up. One cost that nobody knows makes the sum unknown."""

    __slots__ = ("cost",)

    def __init__(self) -> None:
        self.cost: Money | None = NOTHING
        """Of the attempts that have ended."""

    def add(self, cost: Money | None) -> None:
        """Take an attempt that has ended."""
        self.cost = self.sum_with(cost)

    def sum_with(self, cost: Money | None) -> Money | None:
        """Return what it would be with one more."""
        return None if self.cost is None or cost is None else Money(self.cost + cost)

    def text_with(self, cost: Money | None) -> str | None:
        """The same in US dollars."""
        return usd(self.sum_with(cost))


def usd(cost: Money | None) -> str | None:
    """Write a cost in US dollars with all its digits; None stays None."""
    return None if cost is None else usd_text(cost)
