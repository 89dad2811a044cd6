"""Money is whole picodollars."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.money import in_usd, money, per_token, usd_text


def test_prices_of_today_are_whole_picodollars_a_token() -> None:
    """0.075 dollars per million tokens is 75,000 picodollars a token, exactly."""
    assert per_token(Decimal("0.075")) == 75_000
    assert per_token(Decimal("0.000001")) == 1
    assert money(Decimal("65.50")) == 65_500_000_000_000


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0"),
        (1, "0.000000000001"),
        (130_500_000, "0.0001305"),
        (10**12, "1"),
        (-5 * 10**11, "-0.5"),
        (10**19 + 1, "10000000.000000000001"),
    ],
)
def test_amounts_are_written_with_all_their_digits(amount: int, text: str) -> None:
    """No exponent, no rounding, no zeros at the end."""
    assert usd_text(amount) == text
    assert in_usd(amount) == Decimal(text)


@given(st.integers(min_value=-(10**30), max_value=10**30))
def test_what_is_written_reads_back(amount: int) -> None:
    """However large, and with the default decimal context of 28 digits."""
    assert in_usd(amount).as_integer_ratio() == Decimal(usd_text(amount)).as_integer_ratio()


def test_what_cannot_be_exact_is_refused() -> None:
    """Rounding would be a bill that does not add up."""
    with pytest.raises(ValueError, match="more than 6 decimals"):
        per_token(Decimal("0.0000001"))
    with pytest.raises(ValueError, match="more than 12 decimals"):
        money(Decimal("1e-13"))


@pytest.mark.parametrize("text", ["1e-999999999", "1e999999999", "-1e-999999999"])
def test_an_exponent_without_end_is_refused_at_once(text: str) -> None:
    """Anybody may send one as `max_cost_usd`: as a fraction it has a thousand million digits, and nothing else runs."""
    for read in (money, per_token):
        with pytest.raises(ValueError, match=r"decimals|more money"):
            read(Decimal(text))
    assert money(Decimal("0e-999999999")) == 0
