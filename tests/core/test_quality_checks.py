"""What can be told of an answer from the answer itself."""

from math import log

import pytest

from streamroute.core.quality.checks import ASSESSORS, assess
from streamroute.core.quality.verdict import Draft, Finding, Wanted

PLAIN = Wanted()
JSON = Wanted(json=True, schema={"type": "object", "required": ["name", "age"]})
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = Wanted(tools=True, tool_schemas={"weather": WEATHER})


def calls(arguments: str, name: str = "weather") -> Draft:
    return Draft(tool_arguments=[arguments], tool_names=[name], finish_reason="tool_calls")


GOOD = Draft(text="The Rhine, the Elbe and the Danube.", finish_reason="stop")


def score(draft: Draft, wanted: Wanted = PLAIN) -> float:
    return assess(draft, wanted).score


def test_nothing_speaks_against_a_plain_answer() -> None:
    """And then there is no reason to give."""
    verdict = assess(GOOD, PLAIN)
    assert (verdict.score, verdict.reason) == (1.0, "")
    assert "confidence" not in verdict.findings, "nobody told how sure the model was"


@pytest.mark.parametrize(
    ("draft", "wanted", "who"),
    [
        (Draft(text="The Rhine, the", finish_reason="length"), PLAIN, "completeness"),
        (Draft(text="The", finish_reason="content_filter"), PLAIN, "completeness"),
        (Draft(text=" \n", finish_reason="stop"), PLAIN, "completeness"),
        (Draft(text="Sure! {", finish_reason="stop"), JSON, "form"),
        (Draft(text='{"name": "Ann"}', finish_reason="stop"), JSON, "form"),
        (Draft(text="[1]", finish_reason="stop"), JSON, "form"),
        (Draft(text="[" * 5000, finish_reason="stop"), JSON, "form"),
        (Draft(tool_arguments=['{"a": '], finish_reason="tool_calls"), Wanted(tools=True), "form"),
        (Draft(text="Like this:\n```python\nprint(1)", finish_reason="stop"), PLAIN, "form"),
        (calls('{"town": "Bonn"}'), TOOLS, "arguments"),
        (calls('{"city": "Bonn", "days": 0}'), TOOLS, "arguments"),
        (calls('{"city": "Bonn", "unit": "C"}'), TOOLS, "arguments"),
        (calls('{"city": "Bonn"}', name="wether"), TOOLS, "arguments"),
        (Draft(text="```python\nif x = 1:\n    pass\n```"), PLAIN, "code"),
        (Draft(text='```json\n{"a": 1,}\n```'), PLAIN, "code"),
        (Draft(text="So 3 * 17 = 41, and 41 + 1 = 42."), PLAIN, "arithmetic"),
        (Draft(text="I'm sorry, but I can't help with that."), PLAIN, "refusal"),
        (Draft(text="I\u2019m not sure about that."), PLAIN, "refusal"),
        (Draft(text="As an AI language model, I have no opinion."), PLAIN, "refusal"),
        (Draft(text="x", refusal="I will not."), PLAIN, "refusal"),
        (Draft(text="the cat sat on the mat and " * 20), PLAIN, "repetition"),
        (Draft(text="maybe so", token_ln_probs=[log(0.3)] * 10), PLAIN, "confidence"),
    ],
)
def test_what_is_wrong_is_found(draft: Draft, wanted: Wanted, who: str) -> None:
    """By the one whose matter it is, with a reason, and below the score at which answers are delivered by default."""
    verdict = assess(draft, wanted)
    assert verdict.score < 0.5
    assert verdict.reason.startswith(f"{who}: ")


@pytest.mark.parametrize(
    ("draft", "wanted"),
    [
        (Draft(text='{"name": "Ann", "age": 7}', finish_reason="stop"), JSON),
        (Draft(tool_arguments=['{"city": "Bonn"}', ""], finish_reason="tool_calls"), Wanted(tools=True)),
        (Draft(text="```python\nprint(1)\n```\nThat is all."), PLAIN),
        (calls('{"city": "Bonn", "days": 3}'), TOOLS),
        (calls("", name="anything"), Wanted(tools=True)),
        (Draft(text="```python\n    indented = '\\d'\n```\n```sql\nSELEC\n```\n```\nif x = 1\n```"), PLAIN),
        (Draft(text='```json\n{"why": "first this,\n\tthen that"}\n```'), PLAIN),
        (Draft(text="```python\n>>> 1 +\n```\n```json\n{ ... }\n```"), PLAIN),
        (Draft(text="So 3 * 17 = 51, and x - 2 = 9."), PLAIN),
        (Draft(text="The sorry state of affairs: " + "one reason after another, " * 3), PLAIN),
        (Draft(text="word " * 59), PLAIN),
        (Draft(text=" ".join(f"step {i} of the long way" for i in range(40))), PLAIN),
        (Draft(text="yes", token_ln_probs=[log(0.95)] * 10), PLAIN),
        (Draft(text="yes", token_ln_probs=[log(0.1)]), PLAIN),
    ],
)
def test_what_is_right_is_left_alone(draft: Draft, wanted: Wanted) -> None:
    """A check that cries wolf costs the larger model's price each time."""
    assert score(draft, wanted) >= 0.5


def test_a_refusal_deep_in_a_long_answer_is_an_answer() -> None:
    """Who quotes an excuse, or ends with a caveat, has said something."""
    assert score(Draft(text=" ".join(f"point {i} holds" for i in range(100)) + " but I cannot say more")) == 1.0


def test_confidence_falls_with_its_weakest_stretch() -> None:
    """A sure beginning does not make up for a guess in the middle; and it is never above 1."""
    sure = [log(0.99)] * 40
    shaky = [*sure[:20], *[log(0.2)] * 8, *sure[:12]]
    of = ASSESSORS["confidence"]
    found = [of(Draft(token_ln_probs=probs), PLAIN) for probs in (sure, shaky, [0.0] * 5)]
    assert all(isinstance(each, Finding) for each in found)
    scores = [each.score for each in found if each is not None]
    assert scores[0] > 0.98
    assert scores[1] < 0.5
    assert scores[2] == 1.0
