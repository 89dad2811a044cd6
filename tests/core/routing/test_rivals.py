"""Whom an audit of an auction asks: who may be better, and now and then anybody."""

from dataclasses import replace

import pytest

from streamroute.core.requirements import NO_REQUIREMENTS
from streamroute.core.routing.analysis import analyse
from streamroute.core.routing.matching import Bid, Matched, QualityEstimate, Shortfall
from streamroute.core.routing.question import Question
from streamroute.core.routing.rivals import EVEN, Rival, picked, rivals
from streamroute.core.upstream import PolicyName, UpstreamId
from tests.support.observations import upstream


def bid(name: str, mean: float | None, sd: float = 0.0, cost: float = 0.0, doubts: float = 0.5) -> Bid:
    known = None if mean is None else QualityEstimate(mean, sd, "learned")
    utility = (0.5 - doubts * 0.25 if mean is None else mean - doubts * sd) - cost
    return Bid(upstream=upstream(name), quality=known, cost_usd=cost, utility=utility)


def matched(*bids: Bid, policy: PolicyName = "balanced") -> Matched:
    return Matched(
        requirements=NO_REQUIREMENTS,
        analysis=analyse(Question(text="Is it so?")),
        policy=policy,
        latency_class="interactive",
        answer_value_usd=0.02,
        rules=(),
        bids=bids,
    )


def names(found: list[Rival]) -> list[str]:
    return [each.upstream for each in found]


def test_who_is_not_known_may_be_far_ahead() -> None:
    """Doubt counts for a rival, though the auction counts it against it; what an operator says is not beyond doubt."""
    found = rivals(
        matched(bid("asked", 0.8), bid("sure", 0.78, 0.01), bid("unsure", 0.7, 0.3), bid("new", None)),
        UpstreamId("asked"),
    )
    assert names(found) == ["unsure", "new", "sure"]
    assert [round(each.lead, 3) for each in found] == [0.078, 0.015, 0.012]
    assert [each.is_better for each in found] == [False, False, False]


def test_the_auction_s_doubt_is_given_back() -> None:
    """The lead is the same by all policies that value money alike."""
    cautious = matched(bid("a", 0.8, 0.1, doubts=1.0), bid("b", 0.8, 0.2, doubts=1.0), policy="quality")
    usual = matched(bid("a", 0.8, 0.1), bid("b", 0.8, 0.2))
    [one], [two] = rivals(cautious, UpstreamId("a")), rivals(usual, UpstreamId("a"))
    assert one.lead == pytest.approx(two.lead) == pytest.approx(0.0892, abs=1e-4)


def test_of_equals_the_dearer_one_is_held_to_be_better() -> None:
    """And whoever has the better answers, whatever they cost."""
    of = matched(bid("a", 0.8, cost=0.1), bid("dear", 0.8, cost=0.2), bid("good", 0.9, cost=9.0), bid("poor", 0.7))
    better = {each.upstream: each.is_better for each in rivals(of, UpstreamId("a"))}
    assert better == {"dear": True, "good": True, "poor": False}


def test_only_who_meets_what_is_required() -> None:
    """And has made a bid; nobody where who was asked has made none."""
    short = replace(bid("short", 0.9), shortfalls=(Shortfall("min_quality", 0.1, "why"),))
    of = matched(bid("a", 0.8), short, replace(bid("none", 0.9), utility=None))
    assert rivals(of, UpstreamId("a")) == []
    assert rivals(of, UpstreamId("elsewhere")) == []


def test_picks_go_by_the_root_of_the_lead() -> None:
    """Half of them by nothing; chances are told."""
    among = [Rival(UpstreamId(name), lead, is_better=True) for name, lead in (("a", 0.09), ("b", 0.01), ("c", 0.0))]
    chances = {each.upstream: chance for each, chance in (picked(among, drawn / 1000) for drawn in range(1000))}
    even = EVEN / 3
    assert chances == pytest.approx({"a": even + 0.375, "b": even + 0.125, "c": even})
    assert sum(picked(among, drawn / 1000)[0].upstream == "a" for drawn in range(1000)) == pytest.approx(542, abs=1)
    assert picked(among, 0.9999999999999999)[0].upstream == "c"
    assert picked([among[2]], 0.5) == (among[2], 1.0)
