"""An amount of money that may be spent each day."""

from dataclasses import dataclass
from typing import NamedTuple

from streamroute.core.money import NOTHING, Money


class SetAside(NamedTuple):
    """What a call may cost, until it is known what it did cost."""

    day: int
    amount: Money


@dataclass(slots=True)
class DayAmount:
    """What has been spent of it. Days are those since the Unix epoch; each begins with nothing spent."""

    day: int = 0
    """Of `spent_today`."""
    spent_today: Money = NOTHING
    """What is set aside is in it."""
    spent: Money = NOTHING
    """Since the process began."""
    version: int = 0
    """Grows with whatever is spent."""

    def spent_on(self, day: int) -> Money:
        """Return what has been spent on a day that is not before the last one."""
        return self.spent_today if day == self.day else NOTHING

    def set_aside(self, most: Money, limit: Money, day: int) -> SetAside | None:
        """Set aside what a call may cost; None where the day's amount does not suffice."""
        self.spent_today, self.day = self.spent_on(day), day
        if self.spent_today + most > limit:
            return None
        self.spent_today = Money(self.spent_today + most)
        return SetAside(day, most)

    def settle(self, aside: SetAside, spent: Money) -> None:
        """Spend what a call has cost, of the day that it is now; what was set aside on an earlier one is gone with
        that."""
        back = aside.amount if aside.day == self.day else NOTHING
        self.spent_today = Money(self.spent_today - back + spent)
        self.spent = Money(self.spent + spent)
        self.version += bool(spent)
