"""How budgets are written."""

from decimal import Decimal

import pytest

from streamroute.core.cost.budget_line import Window, parse_amount
from streamroute.core.money import money


@pytest.mark.parametrize(
    ("text", "usd", "window"),
    [
        ("5USD/day", "5", "day"),
        ("0.50/hour", "0.5", "hour"),
        ("$200/Month", "200", "month"),
        (" 7 usd / total ", "7", "total"),
    ],
)
def test_an_amount_and_a_window(text: str, usd: str, window: Window) -> None:
    """Amounts are dollars, with or without a sign; windows are hours, days, months, or for ever."""
    assert parse_amount(text) == (money(Decimal(usd)), window)


@pytest.mark.parametrize(
    "text", ["", "5", "5USD", "5EUR/day", "-5USD/day", "5USD/week", "five/day", "1e9/day", "nan/day"]
)
def test_what_is_no_budget_is_said_to_be_none(text: str) -> None:
    """The error shows how to write one."""
    with pytest.raises(ValueError, match="5USD/day"):
        parse_amount(text)


def test_a_budget_beyond_all_sense_is_refused() -> None:
    """More than a million dollars is a slip of the hand."""
    with pytest.raises(ValueError, match="more than"):
        parse_amount("1000001USD/day")
