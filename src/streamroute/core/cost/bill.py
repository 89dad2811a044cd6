"""What one request has cost so far: all its calls that have ended, losers included."""

from dataclasses import dataclass

from streamroute.core.money import NOTHING, Money
from streamroute.core.observation import Charged


@dataclass(slots=True)
class Bill:
    """Adds up."""

    total: Money | None = NOTHING
    """None: a call's price is not known, so nobody knows the sum."""
    known: Money = NOTHING
    """What those cost whose price is known."""

    def add(self, charged: Charged) -> None:
        """Take what an attempt was charged."""
        self.total = self.plus(charged.cost)
        self.known = Money(self.known + (charged.cost or NOTHING))

    def plus(self, cost: Money | None) -> Money | None:
        """Return the sum with one more."""
        return None if cost is None or self.total is None else Money(self.total + cost)
