"""What questions are about, learned from those whose domain was said."""

import pytest

from streamroute.core.quality.subject_text import read_subject
from streamroute.core.routing.analysis import Question, analyse
from streamroute.core.routing.domains import LEAST_EXAMPLES, LearnedDomains, spoken_of
from streamroute.core.routing.rules import OneOf, Rule, Then
from streamroute.core.upstream import QualityTable
from tests.support.observations import upstream

TAX = ("refund", "levy", "return", "deduction", "filing", "bracket")
TRAVEL = ("flight", "hotel", "luggage", "visa", "beach", "ticket")


def questions(words: tuple[str, ...]) -> list[str]:
    return [f"How does my {words[i % 6]} work with a {words[(i * 5 + 1) % 6]} {i}?" for i in range(LEAST_EXAMPLES)]


def learned() -> LearnedDomains:
    found = LearnedDomains()
    for tax, travel in zip(questions(TAX), questions(TRAVEL), strict=True):
        found.learn(read_subject(tax), "tax")
        found.learn(read_subject(travel), "travel")
    return found


def domain_of(text: str, classifier: LearnedDomains) -> str | None:
    return analyse(Question(text=text), classifier=classifier).domain


def test_terms_decide_until_enough_was_learned() -> None:
    """Two domains of twenty examples each; the last one is what it takes."""
    some = LearnedDomains()
    for tax, travel in zip(questions(TAX), questions(TRAVEL), strict=True):
        assert not some.is_ready
        assert domain_of("Which court heard the appeal?", some) == "law"
        some.learn(read_subject(tax), "tax")
        some.learn(read_subject(travel), "travel")
    assert some.is_ready
    one = LearnedDomains()
    for text in questions(TAX) * 2:
        one.learn(read_subject(text), "tax")
    assert not one.is_ready


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Can a deduction change my refund?", "tax"),
        ("Does the hotel keep my luggage?", "travel"),
        ("Which court heard the appeal?", "law"),
    ],
)
def test_what_was_learned_and_what_is_like_nothing_of_it(text: str, domain: str) -> None:
    """Examples decide; of a text like none of them the terms of a field do."""
    assert domain_of(text, learned()) == domain


def test_it_outlives_a_restart() -> None:
    """Saved as arrays and taken over; what does not fit changes nothing."""
    before, after = learned(), LearnedDomains()
    after.restore(before.state())
    text = "Can a deduction change my refund?"
    assert domain_of(text, after) == "tax"
    assert after.domains == before.domains
    broken = {**before.state(), "counts": before.state()["counts"][:1]}
    with pytest.raises(ValueError, match="zip"):
        after.restore(broken)
    assert domain_of(text, after) == "tax"


def test_what_the_configuration_speaks_of() -> None:
    """Upstreams and rules; other names are not learned, whatever clients make up."""
    lawyer = upstream("a", domains=("patents",), quality=QualityTable(domains=(("tax", 0.9),)))
    rule = Rule(name="r", when=(OneOf("domain", frozenset({"travel"})),), then=Then(tier=1))
    assert {"patents", "tax", "travel", "law", "general"} <= spoken_of([lawyer], [rule])
    assert "made up" not in spoken_of([lawyer], [rule])
