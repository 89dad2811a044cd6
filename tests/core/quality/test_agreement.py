"""Conclusions: where an answer states its own, and when two are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.quality.agreement import agree, conclusion, normal


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"reasoning": "so", "answer": "42"}', '"42"'),
        ("so \\boxed{\\frac{1}{2}} it is", "\\frac{1}{2}"),
        ("The answer is (C).", "C"),
        ("the answer is: **Paris**. And more.", "Paris"),
        ("Final answer: 12 apples\n", "12 apples"),
        ("The answer is A. No: the answer is B.", "B"),
        ("I would rather not say", None),
    ],
)
def test_the_last_stated_answer_is_the_conclusion(text: str, says: str | None) -> None:
    """Models correct themselves: what they say last is what they mean."""
    assert conclusion(text) == says


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("$1,200.50", "1200.5"),
        ("12 apples", "12"),
        ("5\\%", "5 %"),
        ("-$3", "$-3"),
        ("\\text{5}", "5"),
        ("\\dfrac{1}{2}", "\\frac{1}{2}"),
        ("x^{2}", "x^2"),
        ("'[1, 2]'", "[1,2]"),
        ('"yes."', "yes"),
    ],
)
def test_how_a_conclusion_is_written_does_not_matter(one: str, two: str) -> None:
    """Quotes, units, currency, LaTeX and blanks are writing, not meaning."""
    assert agree(one, two)


@pytest.mark.parametrize(
    ("one", "two"),
    [("12", "13"), ("-3", "3"), ("True", "true"), ("\\frac{1}{23}", "\\frac{12}{3}"), ("[12]", "[1,2]"), (None, None)],
)
def test_what_differs_does_not_agree(one: str | None, two: str | None) -> None:
    """In code case is meaning, in fractions braces are; and who concludes nothing agrees with nobody."""
    assert not agree(one, two)


@given(st.text(max_size=60))
def test_a_conclusion_agrees_with_itself(said: str) -> None:
    """No text makes it fail, and none differs from itself."""
    assert agree(said, said)
    assert isinstance(normal(said), str)
