"""The structure of a question."""

from math import log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.routing.learned.structure import STRUCTURE, structure


def test_an_exam_question() -> None:
    """One question mark of three, four choices of ten, and words of the law: plaintiff, contract."""
    found = structure("Which contract binds the plaintiff?\nA. one\nB. two\nC. three\nD. four")
    assert found.questions == pytest.approx(1 / 3)
    assert found.choices == pytest.approx(0.4)
    assert found.law == pytest.approx(0.5)
    assert found.is_closed == pytest.approx(0.25)
    assert found.medicine == 0.0
    assert found.lines == pytest.approx(log1p(4) / 4)


def test_code_and_formulas() -> None:
    """A fence counts as code at once; a backslash is a sign of formulas."""
    assert structure("```\ndef f(): return 1\n```").code == 1.0
    assert structure("solve \\frac{x}{2} = 3").math == pytest.approx(0.25 + 1 / 8)


def test_choices_must_begin_with_a() -> None:
    """A line that begins with D is no list of choices."""
    assert structure("see\nD. four").choices == 0.0
    assert structure("see\nA) one\nB) two").choices == pytest.approx(0.2)


def test_other_scripts_and_turns() -> None:
    """Half of the characters are no ASCII; the third message of a conversation."""
    assert structure("ab\u00e4\u00f6").foreign == pytest.approx(0.5)
    assert structure("ab", turns=3).turns == pytest.approx(log1p(2) / 3)
    assert structure("ab").turns == 0.0


def test_nothing_has_a_structure_too() -> None:
    """An empty prompt is not divided by."""
    assert structure("").numbers() == pytest.approx(
        [log1p(1) / 8, log1p(1) / 6, 1 / 6, *[0.0] * (len(STRUCTURE) - 4), 0]
    )


@given(st.text(max_size=300), st.integers(1, 50))
def test_numbers_stay_small(text: str, turns: int) -> None:
    """They stand beside each other in one model: none may drown the others."""
    found = structure(text, turns).numbers()
    assert len(found) == len(STRUCTURE)
    assert all(0.0 <= each <= 2.0 for each in found)
