"""Which upstream wins a request: utilities by hand, requirements, health over all."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.health.standing import Estimate
from streamroute.core.money import Money
from streamroute.core.requirements import NO_REQUIREMENTS, Requirements
from streamroute.core.routing.analysis import analyse
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.matching import (
    TABLE_SD,
    ConfiguredQualities,
    MergedQualities,
    QualityEstimate,
    Wanted,
    merged,
)
from streamroute.core.routing.options import ANSWER_VALUE_USD
from streamroute.core.routing.question import Question
from streamroute.core.routing.refusal import kept, refusal, unmet
from streamroute.core.routing.rules import Rule, Then
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import Capabilities, LatencyClass, QualityTable, Route, Steering, TokenPrice, Upstream
from tests.support.observations import upstream
from tests.support.steering import HALF_OPEN, NORMAL, OPEN, SLOW, Board, board, draws, order, probed, request

QUESTION = Question(text="Name three rivers.", chars=4000, messages=1)
"""1004 tokens."""


def priced(name: str, per_mtok: str, quality: float | None = None, **more: Any) -> Upstream:
    """Make an upstream whose input and output cost the same."""
    amount = Decimal(per_mtok)
    return upstream(
        name,
        provider=name,
        price=TokenPrice(input_per_mtok=amount, output_per_mtok=amount),
        quality=None if quality is None else QualityTable(default=quality),
        **more,
    )


CHEAP, FAIR, DEAR = priced("cheap", "1", 0.80), priced("fair", "10", 0.90), priced("dear", "100", 0.95)
ALL = (CHEAP, FAIR, DEAR)


def wanted(needs: Requirements = NO_REQUIREMENTS, **more: Any) -> Wanted:
    values: dict[str, Any] = {
        "requirements": needs,
        "analysis": analyse(QUESTION, domain=needs.domain),
        "qualities": ConfiguredQualities(),
        "most": lambda upstream: Money(10**9) if upstream.id == "cheap" else Money(10**10),
        **more,
    }
    policy = values.setdefault("policy", "balanced")
    return Wanted(answer_value_usd=ANSWER_VALUE_USD[policy], **values)


def decided(
    what: Wanted,
    known: Board | None = None,
    *draw: float,
    upstreams: tuple[Upstream, ...] = ALL,
    steering: Steering = "auction",
    of: LatencyClass = "batch",
    key: str | None = None,
    **facts: int,
) -> Decision:
    route = Route(name="auto", upstreams=tuple(each.id for each in upstreams), steering=steering)
    return decide(
        request(**facts), route, upstreams, known or board(), 0.0, draws(*draw),
        affinity_key=key, latency_class=of, wanted=what,
    )  # fmt: skip


def utilities(decision: Decision) -> dict[str, float | None]:
    assert decision.matched is not None
    return {each.upstream.id: each.utility and round(each.utility, 6) for each in decision.matched.bids}


def first(decision: Decision) -> str:
    return str(decision.candidates[0].upstream.id)


def test_utilities() -> None:
    """1204 tokens cost $0.001204, 0.01204 and 0.1204; a right answer is worth $0.02, nobody waits for a batch."""
    found = utilities(decided(wanted()))
    assert found == {"cheap": 0.8 - 0.0602, "fair": 0.298, "dear": round(0.95 - 6.02, 6)}


@pytest.mark.parametrize(("policy", "who"), [("quality", "fair"), ("balanced", "cheap"), ("economy", "cheap")])
def test_policies(policy: str, who: str) -> None:
    """At $1 a right answer five points of quality are not worth 11 cents, but ten are worth one."""
    assert first(decided(wanted(policy=policy))) == who


def test_a_second_costs_by_the_latency_class() -> None:
    """Where every second counts the quicker one wins, for a batch the cheaper one."""
    quick = board(
        fair=replace(NORMAL, ttft_s=0.1, normal_ttft_s=0.1), cheap=replace(NORMAL, ttft_s=14.0, normal_ttft_s=14.0)
    )
    assert first(decided(wanted(), quick, of="batch")) == "cheap"
    assert first(decided(wanted(), quick, of="latency_critical")) == "fair"


@pytest.mark.parametrize(
    ("floor", "who"), [(0.75, ["cheap", "fair", "dear"]), (0.85, ["fair", "dear"]), (0.93, ["dear"]), (0.96, [])]
)
def test_the_cheapest_that_is_good_enough(floor: float, who: list[str]) -> None:
    """In `economy` quality beyond the floor counts for nothing; below it nobody is a candidate."""
    decision = decided(wanted(Requirements(min_quality=floor), policy="economy"))
    assert [each.upstream.id for each in decision.candidates] == who
    assert [each.reason for each in decision.rejected[:1]] == (
        [] if floor == 0.75 else [f"quality 0.8 is below {floor:g}"]
    )


def test_the_limit_of_cost_is_the_reserve_price() -> None:
    """A call to `cheap` costs at most $0.001, to others $0.01: exactly the limit is within it."""
    at = Requirements(max_cost=Money(10**9))
    assert [each.upstream.id for each in decided(wanted(at)).candidates] == ["cheap"]
    below = decided(wanted(Requirements(max_cost=Money(10**9 - 1))))
    assert not below.candidates
    assert below.matched is not None
    assert refusal(below.matched) == (
        "Nobody is sure to cost at most $0.000999999999: the cheapest is cheap, which may cost $0.001 "
        "with 4096 tokens of answer, as the request sets no `max_tokens`."
    )
    assert below.rejected[0].reason == (
        "a call may cost $0.001 with 4096 tokens of answer, as the request sets no `max_tokens`, above $0.000999999999"
    )
    several = decided(wanted(Requirements(max_cost=Money(10**9 - 1))), upstreams=(CHEAP,), choices=2)
    assert several.rejected[0].reason.startswith("a call may cost $0.001 with 8192 tokens of answer, as")
    limited = decided(wanted(Requirements(max_cost=Money(10**9 - 1))), max_output_tokens=900).matched
    assert limited is not None
    assert refusal(limited).endswith("which may cost $0.001 (a lower `max_tokens` makes that less).")


def test_what_is_not_known() -> None:
    """An unknown quality and an unknown price do not meet what must not be broken; otherwise they are tried."""
    unknown = upstream("unknown", provider="unknown")
    assert len(decided(wanted(), upstreams=(CHEAP, unknown)).candidates) == 2
    floored = decided(wanted(Requirements(min_quality=0.5)), upstreams=(CHEAP, unknown))
    assert [each.reason for each in floored.rejected] == ["its quality is not known, and 0.5 is required"]
    assert len(decided(wanted(Requirements(min_quality=0.0)), upstreams=(CHEAP, unknown)).candidates) == 2
    capped = decided(wanted(Requirements(max_cost=Money(1)), most=lambda upstream: None), upstreams=(unknown,))
    assert [each.reason for each in capped.rejected] == ["its price is not known, and $0.000000000001 is the most"]
    cold = board(cheap=Estimate(ttft_s=1.0, normal_ttft_s=1.0))
    untimed = decided(wanted(Requirements(max_ttft_s=0.01)), cold, upstreams=(CHEAP,))
    assert untimed.candidates
    note = "limit of time not held: nothing is known yet of the first token of cheap"
    assert note in untimed.reasons
    assert note in decided(wanted(Requirements(max_total_s=9.0)), cold, steering="preferred").reasons
    nobody = board(**{each.id: Estimate(ttft_s=1.0, normal_ttft_s=1.0) for each in ALL})
    reasons = decided(wanted(Requirements(max_ttft_s=1.0)), nobody).reasons
    assert [each for each in reasons if each.endswith("the first token of cheap, fair, dear")]
    for known in (decided(wanted(Requirements(max_ttft_s=5.0))), decided(wanted(), cold)):
        assert not any("not held" in each for each in known.reasons)


def test_no_floor_is_none() -> None:
    """0 leaves nobody out, and the policy as it was."""
    none = Requirements(min_quality=0.0)
    assert (none.floor, none.are_limits) == (None, False)
    economy = utilities(decided(wanted(none, policy="economy")))
    assert economy == utilities(decided(wanted(policy="economy")))


def test_the_rule_that_leaves_somebody_out_is_named() -> None:
    """Of all that apply those that do; with nobody else to ask nothing is said of meeting it all at once."""
    only_dear = Rule(name="only dear", then=Then(require=frozenset({DEAR.id})))
    no_dear = Rule(name="no dear", then=Then(avoid=frozenset({DEAR.id})))
    other = Rule(name="other", then=Then(policy="quality"))
    what = wanted(rules=(other, only_dear, no_dear))
    alone, both = (decided(what, upstreams=upstreams).matched for upstreams in ((DEAR,), (CHEAP, DEAR)))
    assert alone is not None
    assert alone.rules == ("other", "only dear", "no dear")
    assert refusal(alone) == 'Nobody meets what is required (dear: rule "no dear" leaves it out).'
    assert both is not None
    assert refusal(both) == (
        'Nobody meets what is required (cheap: rule "only dear" leaves it out; dear: rule "no dear" leaves it out).'
    )


def test_limits_of_time() -> None:
    """Who is too slow when well is out; who is only slow now comes after all others."""
    slow = replace(NORMAL, ttft_s=9.0, normal_ttft_s=9.0)
    late = replace(NORMAL, ttft_s=9.0, normal_ttft_s=0.5)
    needs = wanted(Requirements(max_ttft_s=2.0))
    found = decided(needs, board(cheap=late, fair=slow))
    assert [each.upstream.id for each in found.candidates] == ["dear", "cheap"]
    assert [each.reason for each in found.rejected] == ["it takes some 9 s to the first token, above 2 s"]
    found = decided(needs, board(cheap=late, fair=slow), steering="preferred")
    assert [each.upstream.id for each in found.candidates] == ["dear", "cheap"]
    none = decided(needs, board(cheap=slow, fair=slow, dear=slow))
    assert none.matched is not None
    assert refusal(none.matched).startswith("Nobody is at the first token within 2 s: the quickest is ")
    assert unmet(none.matched) == ("max_ttft_s",)


def test_total_time_counts_the_answer() -> None:
    """100 tokens at 0.05 s after a second: 6 s."""
    paced = replace(NORMAL, tpot_s=0.05)
    known = board(cheap=paced, fair=paced, dear=paced)
    assert decided(wanted(Requirements(max_total_s=6.0)), known, max_output_tokens=100).candidates
    assert not decided(wanted(Requirements(max_total_s=5.9)), known, max_output_tokens=100).candidates


def test_specialists_and_regions() -> None:
    """A specialist is asked in its domain only; a region must be known."""
    lawyer = priced("lawyer", "0.1", 0.99, domains=("law",), residency="eu")
    everybody = (CHEAP, lawyer)
    assert first(decided(wanted(Requirements(domain="law")), upstreams=everybody)) == "lawyer"
    general = decided(wanted(Requirements(domain="code")), upstreams=everybody)
    assert [each.reason for each in general.rejected] == ["it is for law only"]
    eu = decided(wanted(Requirements(domain="law", residency="eu")), upstreams=everybody)
    assert [each.reason for each in eu.rejected] == ["where it keeps data is not known, and eu is required"]


def test_a_prompt_that_does_not_fit_beyond_doubt() -> None:
    """4000 characters are 500 tokens at least."""
    small = priced("small", "1", 0.9, capabilities=Capabilities(context_tokens=499))
    roomy = priced("roomy", "1", 0.9, capabilities=Capabilities(context_tokens=500))
    found = decided(wanted(), upstreams=(small, roomy))
    assert [each.upstream.id for each in found.candidates] == ["roomy"]
    assert [each.reason for each in found.rejected] == ["the prompt has some 1004 tokens, and it takes 499"]


def test_a_prompt_in_another_script_may_fit() -> None:
    """Newer models have four or five letters of Cyrillic in a token, as of Latin."""
    small = priced("small", "1", 0.9, capabilities=Capabilities(context_tokens=1000))
    russian = analyse(Question(text="", chars=4000, wide_chars=3400, messages=1), domain="general")
    assert first(decided(replace(wanted(), analysis=russian), upstreams=(small,))) == "small"


def test_health_goes_over_the_auction() -> None:
    """The winner with an open breaker is a last resort, one that is slow yields, one half open is tried beside."""
    assert first(decided(wanted(), board(cheap=OPEN))) == "fair"
    ill = replace(NORMAL, penalty=3.0)
    assert first(decided(wanted(), board(cheap=(SLOW, ill)))) == "fair"
    half = decided(wanted(), board(cheap=HALF_OPEN), of="interactive")
    assert (first(half), probed(half)) == ("fair", "cheap")
    panic = decided(wanted(), replace(board(cheap=(SLOW, ill)), panic=True))
    assert (panic.is_panic, first(panic)) == (True, "fair")


def test_who_does_not_meet_the_requirements_is_no_last_resort() -> None:
    """Not even where all others are down."""
    found = decided(wanted(Requirements(min_quality=0.85)), board(fair=OPEN, dear=OPEN))
    assert order(found) == "fairdear"


def test_a_conversation_stays_among_bids_that_are_as_good() -> None:
    """Its prompt cache is worth more than a hundredth; more than that decides against it."""
    twins = tuple(priced(name, "1", 0.8) for name in "abcdef")
    homes = {first(decided(wanted(), upstreams=twins, key=f"talk {i}")) for i in range(40)}
    assert len(homes) > 3
    same = [first(decided(wanted(), upstreams=twins[::step], key="talk 7")) for step in (1, -1)]
    assert same[0] == same[1]
    better = (*twins, priced("best", "1", 0.82))
    assert {first(decided(wanted(), upstreams=better, key=f"talk {i}")) for i in range(40)} == {"best"}


def test_two_sources_of_quality() -> None:
    """Each by one over its variance; a configured one counts as sure as `TABLE_SD`."""
    prior, learned = QualityEstimate(0.9, 0.0, "configured"), QualityEstimate(0.7, TABLE_SD, "learned")
    found = merged(prior, learned)
    assert found is not None
    assert (round(found.mean, 6), round(found.sd, 6)) == (0.8, 0.035355)
    assert merged(prior, None) == prior
    assert merged(None, learned) == learned

    class Learned:
        def of(self, analysis: object, upstreams: object) -> list[QualityEstimate | None]:
            return [QualityEstimate(0.5, 1e-3, "learned"), None, None]

    both = decided(wanted(Requirements(min_quality=0.75), qualities=MergedQualities(ConfiguredQualities(), Learned())))
    assert [each.upstream for each in both.rejected] == ["cheap"]


def test_doubt_counts_where_an_answer_is_worth_a_lot() -> None:
    """One standard error in `quality`, none in `economy`."""

    class Unsure:
        def of(self, analysis: object, upstreams: object) -> list[QualityEstimate | None]:
            return [QualityEstimate(0.80, 0.0, "sure"), QualityEstimate(0.9, 0.2, "unsure")]

    pair = (CHEAP, priced("risky", "1"))
    assert first(decided(wanted(policy="quality", qualities=Unsure()), upstreams=pair)) == "cheap"
    assert first(decided(wanted(policy="economy", qualities=Unsure()), upstreams=pair)) == "risky"


def test_a_preferred_route_keeps_its_order() -> None:
    """Requirements rule out, the order of the route decides."""
    found = decided(wanted(Requirements(min_quality=0.85)), upstreams=(DEAR, CHEAP, FAIR), steering="preferred")
    assert [each.upstream.id for each in found.candidates] == ["dear", "fair"]
    assert utilities(found) == {"dear": None, "cheap": None, "fair": None}


def test_a_preference_fades_as_more_is_learned() -> None:
    """It is worth 0.05 until something was learned, and half of that at half of the uncertainty."""

    class Learned:
        def __init__(self, sd: float) -> None:
            self.sd = sd

        def of(self, analysis: object, upstreams: object) -> list[QualityEstimate | None]:
            return [QualityEstimate(0.8, self.sd, "learned")] * 3

    def gain(sd: float) -> float:
        what = wanted(policy="economy", qualities=Learned(sd))
        plain = utilities(decided(what))["fair"] or 0.0
        return round((utilities(decided(replace(what, preferred=frozenset({FAIR.id}))))["fair"] or 0.0) - plain, 6)

    assert [gain(sd) for sd in (0.0, TABLE_SD, TABLE_SD / 2, 10.0)] == [0.05, 0.05, 0.025, 0.05]


@given(
    offers=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 50)), min_size=1, max_size=6),
    floor=st.floats(0, 1),
    turn=st.randoms(use_true_random=False),
    policy=st.sampled_from(sorted(ANSWER_VALUE_USD)),
)
def test_whatever_is_offered(offers: list[tuple[float, int]], floor: float, turn: Any, policy: str) -> None:
    """The order does not depend on that of the configuration; nobody who falls short is a candidate, nobody is lost."""
    upstreams = [priced(f"u{i}", str(price), quality) for i, (quality, price) in enumerate(offers)]
    shuffled = list(upstreams)
    turn.shuffle(shuffled)
    what = wanted(Requirements(min_quality=floor), policy=policy)
    one, two = decided(what, upstreams=tuple(upstreams)), decided(what, upstreams=tuple(shuffled))
    names = [each.upstream.id for each in one.candidates]
    assert names == [each.upstream.id for each in two.candidates]
    assert set(names) == {each.id for each in upstreams if each.quality is not None and each.quality.of(None) >= floor}
    assert {each.upstream for each in one.rejected} == {each.id for each in upstreams} - set(names)
    if names:
        assert one.matched is not None
        worth = {each.upstream.id: each.utility or 0.0 for each in one.matched.bids if not each.shortfalls}
        assert worth[names[0]] == max(worth.values())


def test_of_very_many_the_best_are_kept() -> None:
    """Fifty candidates and bids; where nobody meets what is required, all are looked at for the nearest."""
    many = tuple(priced(f"u{i:03}", "1", i / 200) for i in range(200))
    found = decided(wanted(Requirements(min_quality=0.1)), upstreams=many)
    assert found.matched is not None
    assert [len(found.candidates), len(found.matched.bids), found.matched.others] == [50, 50, 150]
    assert first(found) == "u199"
    assert min(each.quality.mean for each in found.matched.bids if each.quality is not None) == 0.75
    none = decided(wanted(Requirements(min_quality=0.999)), upstreams=many)
    assert none.matched is not None
    assert refusal(none.matched) == "Nobody offers quality 0.999 for general: the best is u199 with 0.995."
    shown = kept(none)
    assert shown.matched is not None
    assert (len(shown.matched.bids), shown.matched.others, len(shown.rejected)) == (50, 150, 50)
    assert shown.reasons[-1] == "150 more are rejected than are kept here"
    assert kept(found) is found
