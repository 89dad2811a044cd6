"""Sums that an answer shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.quality.arithmetic import checked_sums


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2 + 3 = 5", (1, 0)),
        ("2 + 3 = 6", (0, 1)),
        ("2*3+4 = 10", (1, 0)),
        ("8/2*3 = 12", (1, 0)),
        ("2 - 3 - 4 = -5", (1, 0)),
        ("12 \u00f7 4 = 3 and 3 \u00d7 4 = 12", (2, 0)),
        ("$1,200 * 2 = $2,400", (1, 0)),
        ("10 / 3 = 3.33", (1, 0)),
        ("2 + 2 = 4, so 2 + 2 = 5", (1, 1)),
    ],
)
def test_sums_are_reckoned_again(text: str, found: tuple[int, int]) -> None:
    """Products before sums, from left to right; a result may be rounded to the digits that it has."""
    assert checked_sums(text) == found


@pytest.mark.parametrize("text", ["x = 5", "1/0 = 3", "f(2) + 3 = 9", "version 1.2.3 = 4", "", "2 + 3 ="])
def test_what_cannot_be_read_counts_as_neither(text: str) -> None:
    """Doubt is no evidence."""
    assert checked_sums(text) == (0, 0)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_right_sum_is_never_called_wrong(one: int, two: int) -> None:
    """Whatever the numbers, with thousands separators or without."""
    assert checked_sums(f"{one:,} + {two} = {one + two:,}") == (1, 0)


@given(st.text(alphabet="0123456789+-*/=.,$ ()x", max_size=80))
def test_no_text_makes_it_fail(text: str) -> None:
    """Answers hold anything."""
    right, wrong = checked_sums(text)
    assert right >= 0
    assert wrong >= 0
