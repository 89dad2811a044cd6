"""What a question is like, by hand-made examples."""

import pytest

from streamroute.core.routing.analysis import GENERAL, analyse, language
from streamroute.core.routing.question import Question


def features_of(text: str, **more: int) -> object:
    return analyse(Question(text=text, chars=len(text), **more)).features


def test_how_many_tokens() -> None:
    """Four characters of ASCII, one of others, four around a message, 800 an image."""
    found = analyse(Question(text="", chars=4010, wide_chars=10, messages=2, images=1))
    assert found.tokens == 1000 + 10 + 8 + 800


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Name three rivers.", GENERAL),
        ("Which court heard the appeal?", "law"),
        ("Solve the equation, then compute the area of the triangle.", "math"),
        ("What dose of the drug does the patient need in therapy?", "medicine"),
        ("Write a python function that returns the sum.", "code"),
        ("Fix it:\n```\nx()\n```", "code"),
        ("Is the market price above the tax?", "finance"),
        ("The patient went home.", GENERAL),
    ],
)
def test_what_it_is_about(text: str, domain: str) -> None:
    """Two terms of a field, or a fence of code; one term alone says nothing."""
    found = analyse(Question(text=text, chars=len(text)))
    assert (found.domain, found.domain_source) == (domain, "classified")


def test_what_the_client_says_it_is_about() -> None:
    """It is right."""
    found = analyse(Question(text="Which court heard the appeal?"), domain="tax")
    assert (found.domain, found.domain_source, found.domain_confidence) == ("tax", "stated", 1.0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Explain the difference of cats and dogs to me.", "en"),
        ("Was ist der Unterschied zwischen Katze und Hund, und wie alt werden sie?", "de"),
        ("Quelle est la différence entre les chats et les chiens ?", "fr"),
        ("¿Cuál es la diferencia entre los gatos y los perros?", "es"),
        ("Чем кошки отличаются от собак?", "ru"),
        ("猫と犬の違いは何ですか", "ja"),
        ("猫和狗有什么区别", "zh"),
        ("고양이와 개의 차이는 무엇입니까", "ko"),
        ("ok", ""),
        ("", ""),
        ("x = f(y) + 1", ""),
    ],
)
def test_language(text: str, code: str) -> None:
    """By script or by common words; "" where neither tells."""
    assert language(text) == code


def test_tables() -> None:
    """Rows of signs for columns; one line of them is none."""
    table = "| a | b |\n|---|---|\n| 1 | 2 |"
    assert analyse(Question(text=f"Sum up:\n{table}")).tables == 3
    assert analyse(Question(text="a\tb\tc\n1\t2\t3")).tables == 2
    assert analyse(Question(text="| a | b | c | d |")).tables == 0


def test_what_it_holds() -> None:
    """Text, and the kinds of its other parts."""
    found = analyse(Question(text="See this.", images=1, files=2))
    assert found.modalities == ("text", "image", "file")


def test_complexity_is_a_sum_of_signs() -> None:
    """A greeting has none; steps, constraints, an open end and a trade make it grow, and it stays within 0 and 1."""
    easy = analyse(Question(text="Hello there.", chars=12)).features.complexity
    hard = analyse(
        Question(
            text="First compare both, then prove why the integral must not exceed the sum unless it is exactly prime, "
            "step by step, and explain which equation is better than the other.",
            chars=20_000,
        )
    ).features.complexity
    assert easy < 0.01
    assert 0.6 < hard <= 1.0


def test_nothing_that_is_kept_holds_the_text() -> None:
    """Features go into explanations and logs."""
    assert "rivers" not in repr(features_of("Name three rivers."))
