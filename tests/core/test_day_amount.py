"""An amount a day: what is set aside, what comes back, and midnight in between."""

from streamroute.core.cost.day_amount import DayAmount
from streamroute.core.money import Money


def test_what_is_set_aside_comes_back() -> None:
    """All but what was spent; nothing is set aside that the day does not have."""
    money = DayAmount()
    aside = money.set_aside(Money(60), Money(100), 7)
    assert aside is not None
    assert money.set_aside(Money(41), Money(100), 7) is None
    money.settle(aside, Money(10))
    assert (money.spent_on(7), money.spent, money.version) == (10, 10, 1)
    assert money.set_aside(Money(90), Money(100), 7) is not None


def test_midnight_brings_no_more_than_a_day_s_amount() -> None:
    """What was set aside yesterday is no money of today: a call that began before midnight and ends after it does not
    let today's be exceeded."""
    money = DayAmount()
    before = money.set_aside(Money(100), Money(100), 7)
    assert before is not None
    after = money.set_aside(Money(30), Money(100), 8)
    assert after is not None
    money.settle(before, Money(50))
    assert money.spent_on(8) == 80
    assert money.set_aside(Money(21), Money(100), 8) is None
    money.settle(after, Money(0))
    assert (money.spent_on(8), money.spent) == (50, 50)


def test_yesterday_s_sum_is_not_told_as_today_s() -> None:
    """Though nothing has been asked for yet."""
    money = DayAmount(7, Money(80))
    assert (money.spent_on(7), money.spent_on(8)) == (80, 0)
