"""What an answer shows of its own worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.quality.signals import SIGNALS, Answer, signals


def test_a_plain_answer_shows_nothing_ill() -> None:
    """Well formed, concluded, its sums right."""
    assert signals(Answer(text="2 + 2 = 4", conclusion="4")) == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_each_signal_has_its_place() -> None:
    """Three hedges of five, one wrong sum of three, no conclusion, broken off, refused, of another form."""
    text = "However, this is probably 2 + 2 = 5. Unfortunately"
    answer = Answer(text=text, is_well_formed=False, is_truncated=True, is_refusal=True)
    assert dict(zip(SIGNALS, signals(answer), strict=True)) == {
        "is_well_formed": 0.0,
        "is_truncated": 1.0,
        "is_refusal": 1.0,
        "hedges": pytest.approx(0.6),
        "sums_wrong": pytest.approx(1 / 3),
        "has_no_conclusion": 1.0,
    }


@given(st.text(max_size=200))
def test_signals_are_shares(text: str) -> None:
    """Whatever an answer says, each is between 0 and 1."""
    found = signals(Answer(text=10 * text))
    assert len(found) == len(SIGNALS)
    assert all(0.0 <= each <= 1.0 for each in found)
