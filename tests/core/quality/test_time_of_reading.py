"""Answers are read within the event loop, where everybody waits: no text may take the square of its length."""

from time import process_time

import pytest

from streamroute.core.quality.checks import assess
from streamroute.core.quality.comparison import agrees, is_comparable
from streamroute.core.quality.signals import answer_of, signals
from streamroute.core.quality.verdict import Draft, Wanted

CHARS = 40_000
MOST_S = 2.0
"""A hundred times what any of these takes; in the square of its length the first one took forty seconds."""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1," * (CHARS // 2), id="a list of numbers without blanks"),
        pytest.param("0,12,345" * (CHARS // 8), id="and with a few"),
        pytest.param("```python\n" * (CHARS // 10), id="fences that are never closed"),
        pytest.param(f"```python\n{chr(10) * 15_900}\n```", id="a block of empty lines"),
        pytest.param(f"The answer is{' ' * CHARS}, or not", id="an answer far away"),
        pytest.param("The answer is\n" + "\n" * CHARS, id="no answer"),
    ],
)
def test_a_long_answer_takes_no_time(text: str) -> None:
    """All that is done to a held answer, and to two that are compared."""
    draft, begun = Draft(text=text, finish_reason="stop"), process_time()
    verdict = assess(draft, Wanted())
    signals(answer_of(draft, verdict))
    is_comparable(draft, Wanted())
    agrees(draft, draft, Wanted())
    assert process_time() - begun < MOST_S
