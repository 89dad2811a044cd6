"""`simulation.text`: damage of any kind is noticed."""

from hypothesis import given
from hypothesis import strategies as st

from streamroute.simulation.text import answer_tokens, expected_text, verify

PROMPT = "tell me"
COUNT = 40
TEXT = expected_text(PROMPT, COUNT)
places = st.integers(0, len(TEXT))


def test_tokens_depend_on_prompt_choice_and_index_alone() -> None:
    """Any provider continues where another stopped: a longer answer begins with the shorter one."""
    assert answer_tokens("p", 200)[:70] == answer_tokens("p", 70)
    assert answer_tokens("p", 8) != answer_tokens("q", 8)
    assert answer_tokens("p", 8) != answer_tokens("p", 8, choice=1)
    assert len(set(answer_tokens("p", 500))) == 500


def test_whole_text_is_exact() -> None:
    """The expected text itself is exact, also an empty one."""
    check = verify(PROMPT, COUNT, TEXT)
    assert (check.is_exact, check.lost_chars, check.repeated_chars) == (True, 0, 0)
    assert verify(PROMPT, 0, "").is_exact


@given(cut=st.integers(0, len(TEXT) - 1))
def test_truncation_is_counted(cut: int) -> None:
    """What is missing at the end is lost, to the character."""
    check = verify(PROMPT, COUNT, TEXT[:cut])
    assert not check.is_exact
    assert (check.lost_chars, check.repeated_chars) == (len(TEXT) - cut, 0)


@given(a=places, b=places)
def test_loss_in_the_middle_is_noticed(a: int, b: int) -> None:
    """A piece cut out of the middle is lost."""
    a, b = min(a, b), max(a, b)
    check = verify(PROMPT, COUNT, TEXT[:a] + TEXT[b:])
    assert check.is_exact == (a == b)
    assert check.lost_chars - check.repeated_chars == b - a
    if len(TEXT) - b >= 30:
        assert check.lost_chars == b - a


@given(a=places, b=places)
def test_repetition_is_noticed(a: int, b: int) -> None:
    """A piece that comes twice is repeated, as at a bad seam between two providers."""
    a, b = min(a, b), max(a, b)
    check = verify(PROMPT, COUNT, TEXT[:b] + TEXT[a:])
    assert check.is_exact == (a == b)
    assert check.repeated_chars - check.lost_chars == b - a
    if len(TEXT) - b >= 30:
        assert check.repeated_chars == b - a


@given(order=st.permutations(range(6)))
def test_wrong_order_is_noticed(order: list[int]) -> None:
    """Every token there, but not in order, is not exact and counts as damage."""
    tokens = answer_tokens(PROMPT, 6)
    check = verify(PROMPT, 6, "".join(tokens[i] for i in order))
    assert check.is_exact == (order == sorted(order))
    assert check.is_exact or check.lost_chars + check.repeated_chars > 0


@given(text=st.text(max_size=200))
def test_foreign_text_is_never_exact(text: str) -> None:
    """Any other text is damage, and the balance of the counts holds."""
    check = verify(PROMPT, COUNT, text)
    assert not check.is_exact
    assert check.lost_chars + check.repeated_chars > 0
    assert check.lost_chars - check.repeated_chars == len(TEXT) - len(text)


def test_answer_to_another_prompt_is_lost_and_foreign() -> None:
    """Cross-talk between requests does not pass for an answer."""
    check = verify(PROMPT, COUNT, expected_text("another", COUNT))
    assert check.lost_chars > len(TEXT) // 2
    assert check.repeated_chars > len(TEXT) // 2
