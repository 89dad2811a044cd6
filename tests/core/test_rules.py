"""Rules: which match, what several come to, which say nothing."""

from typing import Any

import pytest

from streamroute.core.money import Money
from streamroute.core.requirements import Requirements
from streamroute.core.routing.analysis import Analysis, analyse
from streamroute.core.routing.question import Question
from streamroute.core.routing.rules import (
    NOTHING_SAID,
    Between,
    Facts,
    OneOf,
    Rule,
    Then,
    covers,
    matches,
    shadowed_by,
    tightened,
    together,
)
from streamroute.core.upstream import UpstreamId

A, B, C = (UpstreamId(name) for name in "abc")
QUESTION = Question(text="Sum up the contract: the clause on liability.", chars=8000, images=2, turns=3)
ANALYSIS = analyse(QUESTION)


def ids(*names: UpstreamId) -> frozenset[UpstreamId]:
    return frozenset(names)


def one_of(feature: str, *names: str) -> OneOf:
    return OneOf(feature, frozenset(names))


def rule(name: str, *when: Between | OneOf, **then: Any) -> Rule:
    return Rule(name=name, when=when, then=Then(**then))


def facts(**names: str) -> Facts:
    return Facts({"task": None, "team": None, **names}, lambda: ANALYSIS)


@pytest.mark.parametrize(
    ("when", "does"),
    [
        ((), True),
        ((Between("tokens", 2000, 1e9),), True),
        ((Between("tokens", 4000, 1e9),), False),
        ((Between("images", 1, 2), Between("turns", 3, 3)), True),
        ((one_of("domain", "law"),), True),
        ((one_of("domain", "law"), one_of("team", "legal")), True),
        ((one_of("domain", "law"), one_of("team", "sales")), False),
        ((one_of("task", "review"),), False),
        ((one_of("modality", "audio", "image"),), True),
        ((one_of("modality", "audio"),), False),
        ((one_of("language", "en"), one_of("format", "text")), True),
    ],
)
def test_all_conditions_must_hold(when: tuple[Between | OneOf, ...], does: bool) -> None:
    """Numbers within limits, names among those listed; what is not known is none of them."""
    assert matches(rule("r", *when, policy="quality"), facts(team="legal")) is does


def test_the_question_is_not_read_where_something_else_decides() -> None:
    """Only a rule that is still open then pays for the analysis."""

    def unread() -> Analysis:
        raise AssertionError("nobody needs it")

    known = Facts({"team": "sales"}, unread)
    assert not matches(rule("r", one_of("domain", "law"), one_of("team", "legal")), known)
    assert matches(rule("r", one_of("team", "sales")), known)


def test_limits_add_up_and_the_first_choice_counts() -> None:
    """No rule can loosen what another demands."""
    found = together(
        [
            Then(require=ids(A, B), min_quality=0.8, max_cost=Money(5), policy="quality", avoid=ids(C)),
            Then(require=ids(B, C), min_quality=0.9, max_cost=Money(9), policy="economy", tier=2, avoid=ids(A)),
        ]
    )
    assert found == Then(require=ids(B), min_quality=0.9, max_cost=Money(5), policy="quality", tier=2, avoid=ids(A, C))
    assert together([]) == NOTHING_SAID


def test_a_rule_tightens_what_a_client_says() -> None:
    """Of limits the stricter one counts, of choices the rule's."""
    said = Then(min_quality=0.9, max_ttft_s=3.0, residency="eu", policy="quality")
    client = Requirements(min_quality=0.95, max_ttft_s=5.0, residency="us", policy="economy", domain="law")
    assert tightened(client, said) == Requirements(
        min_quality=0.95, max_ttft_s=3.0, residency="eu", policy="quality", domain="law"
    )


def test_what_covers_what() -> None:
    """Fewer or wider conditions match whenever more or narrower ones do."""
    law = rule("law", one_of("domain", "law"))
    long_law = rule("long law", one_of("domain", "law"), Between("tokens", 2000, 3000))
    wide = rule("wide", one_of("domain", "law", "tax"), Between("tokens", 1000, 3000))
    assert covers(law, long_law)
    assert covers(wide, long_law)
    assert covers(rule("always"), law)
    assert not covers(long_law, law)
    assert not covers(wide, law)


def test_shadowed_rules() -> None:
    """A rule that leaves nothing to say to those after it; one that adds something is none."""
    rules = [
        rule("all", min_quality=0.8, policy="balanced"),
        rule("law", one_of("domain", "law"), min_quality=0.9),
        rule("weaker", one_of("domain", "law"), Between("tokens", 9, 99), min_quality=0.85, policy="quality"),
        rule("adds", one_of("domain", "law"), avoid=ids(A)),
        rule("stricter", one_of("domain", "law"), min_quality=0.95),
    ]
    assert shadowed_by(rules) == {"weaker": ("all", "law")}


def test_in_words() -> None:
    """As `streamroute check` shows them."""
    found = rule("long", Between("tokens", 2000, float("inf")), one_of("domain", "tax", "law"), avoid=ids(B, A))
    assert str(found) == "long: tokens 2000.., domain law|tax -> avoid a|b"
    assert str(rule("all", max_cost=Money(10**11), tier=1)) == "all: always -> max_cost_usd 0.1, tier 1"
