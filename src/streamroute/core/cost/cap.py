"""What one request may cost at most: a budget of its own, over all calls that are made for it."""

from dataclasses import dataclass

from streamroute.core.cost.bill import Bill
from streamroute.core.money import NOTHING, Money, usd_text


@dataclass(slots=True)
class Cap:
    """Holds what calls under way may cost, beside what those on the bill have cost."""

    limit: Money
    bill: Bill
    held: Money = NOTHING

    def take(self, most: Money | None) -> str | None:
        """Hold the most that a further call may cost; returns why it must not be made, where it must not."""
        if most is None or self.bill.total is None:
            return f"the request may cost ${usd_text(self.limit)} at most, and a price is not known"
        before = self.bill.total + self.held
        if before + most > self.limit:
            beside = f" beside the ${usd_text(before)} of the calls before it" if before else ""
            return f"the request may cost ${usd_text(self.limit)} at most, this call ${usd_text(most)}{beside}"
        self.held = Money(self.held + most)
        return None

    def settle(self, most: Money) -> None:
        """Give back what was held for a call that goes on the bill, or was never made."""
        self.held = Money(self.held - most)
