"""Whom to ask, in which order and by which plan."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.core.health.standing import WELL, BreakerState, Estimate, Standing, StandingKind
from streamroute.core.routing.affinity import rendezvous
from streamroute.core.routing.decision import Rejected
from streamroute.core.routing.explain import explain, summary
from streamroute.core.routing.explorer import Explorer
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import (
    Capabilities,
    LatencyClass,
    PlanName,
    Route,
    Steering,
    TokenPrice,
    Upstream,
    UpstreamId,
)
from tests.support.observations import upstream
from tests.support.steering import (
    HALF_OPEN,
    ILL,
    NORMAL,
    OPEN,
    REJECTED_KEY,
    RESTING,
    SLOW,
    SUSPECT,
    Board,
    Known,
    board,
    decided,
    draws,
    order,
    probed,
    request,
)


def shares(
    board: Board, *, of: LatencyClass = "interactive", upstreams: Sequence[Upstream] | None = None
) -> dict[str, float]:
    """Return the weights on a balanced route, adding up to 1."""
    candidates = decided(board, 0.0, 0.0, steering="balanced", of=of, upstreams=upstreams).candidates
    total = sum(each.weight for each in candidates)
    return {each.upstream.id: each.weight / total for each in candidates}


# -- preferred


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, "abc"),
        ({"a": replace(NORMAL, penalty=0.5)}, "abc"),  # noise
        ({"a": (SUSPECT, ILL)}, "bca"),
        ({"a": (SUSPECT, ILL), "b": (SUSPECT, replace(ILL, penalty=2.5))}, "cba"),
        ({"a": (SUSPECT, ILL), "b": (SUSPECT, ILL), "c": (SUSPECT, ILL)}, "abc"),  # none is better
        ({"b": (SUSPECT, ILL)}, "acb"),
        ({"a": OPEN}, "bca"),
        ({"a": OPEN, "b": RESTING, "c": REJECTED_KEY}, "abc"),
        ({"a": REJECTED_KEY, "b": OPEN}, "cba"),
        ({"a": replace(NORMAL, ttft_s=2.5)}, "bca"),  # slow, the others are not
        ({"a": replace(NORMAL, ttft_s=2.5), "b": replace(NORMAL, ttft_s=3.0, normal_ttft_s=3.0), "c": OPEN}, "abc"),
        ({"b": replace(NORMAL, ttft_s=0.1, normal_ttft_s=0.1)}, "abc"),  # faster, but not preferred
        ({"a": replace(NORMAL, in_flight=20, in_flight_limit=10.0)}, "bca"),
        ({"a": replace(NORMAL, is_cold=True, ttft_s=9.0)}, "abc"),
    ],
)
def test_the_first_that_is_well(known: dict[str, Standing | Estimate | Known], expected: str) -> None:
    """The route's order holds until health says that another is four times as good; no chance is involved."""
    assert order(decided(board(**known))) == expected


@pytest.mark.parametrize(("draw", "expected"), [(0.29, "abc"), (0.31, "bac")])
def test_a_ramp(draw: float, expected: str) -> None:
    """One that comes back gets the share that its ramp allows, and is the first to fall back on otherwise."""
    assert order(decided(board(a=replace(NORMAL, capacity=0.3)), draw)) == expected


def test_a_ramp_that_is_everywhere() -> None:
    """Where all have the same capacity the order holds: only differences count."""
    same = replace(NORMAL, capacity=0.5)
    assert order(decided(board(a=same, b=same, c=same))) == "abc"


def test_latency_critical_avoids_the_slightest_doubt() -> None:
    """A suspect is not asked first where one without suspicion is there, however little it costs."""
    doubtful = board(a=(SUSPECT, replace(NORMAL, penalty=0.2)))
    assert order(decided(doubtful, of="interactive")) == "abc"
    assert order(decided(doubtful, of="latency_critical")) == "bca"


# -- half open


@pytest.mark.parametrize(
    ("known", "of", "expected", "probe"),
    [
        ({"a": HALF_OPEN}, "interactive", "bc", "a"),
        ({"b": HALF_OPEN}, "latency_critical", "ac", "b"),
        ({"a": HALF_OPEN, "b": HALF_OPEN}, "standard", "cb", "a"),  # one at a time
        ({"a": HALF_OPEN}, "batch", "bca", None),
        ({"a": HALF_OPEN, "b": OPEN, "c": OPEN}, "interactive", "abc", None),  # nobody else is ready
        ({"a": OPEN, "b": HALF_OPEN, "c": (SUSPECT, ILL)}, "interactive", "ca", "b"),
    ],
)
@pytest.mark.parametrize("steering", ["preferred", "balanced"])
def test_a_half_open_upstream(
    known: dict[str, Standing | Known], of: LatencyClass, expected: str, probe: str | None, steering: Steering
) -> None:
    """It is tried beside the first, where it would be among the first two; instead of it only when nobody is left."""
    decision = decided(board(**known), 0.0, 0.0, steering=steering, of=of)
    assert (order(decision), decision.probe and decision.probe.upstream.id) == (expected, probe)


def test_a_half_open_upstream_that_does_not_matter() -> None:
    """Two go before it, well as it may be: it is worth no call of its own, and is asked when those have failed."""
    decision = decided(board(c=HALF_OPEN))
    assert (order(decision), decision.probe) == ("abc", None)
    slower = board(c=(HALF_OPEN, replace(NORMAL, ttft_s=2.0, normal_ttft_s=2.0)))
    decision = decided(slower, 0.0, 0.0, steering="balanced")
    assert (order(decision), decision.probe) == ("abc", None)


# -- balanced


def test_shares() -> None:
    """Half the time to the first token is four times the share; health and capacity multiply."""
    assert shares(board(a=replace(NORMAL, ttft_s=0.5))) == pytest.approx({"a": 4 / 6, "b": 1 / 6, "c": 1 / 6})
    assert shares(board(a=replace(NORMAL, capacity=0.5))) == pytest.approx({"a": 0.2, "b": 0.4, "c": 0.4})
    assert shares(board(a=replace(NORMAL, in_flight=10, in_flight_limit=10.0)))["a"] == pytest.approx(0.2)
    assert shares(board(a=ILL))["a"] < 0.03
    # Little is known of a: half of the mean of what is known.
    cold = board(a=replace(NORMAL, is_cold=True), b=replace(NORMAL, ttft_s=0.5))
    assert shares(cold)["a"] == pytest.approx(0.5 * (1 + 0.25) / 2 / (0.5 * (1 + 0.25) / 2 + 1.25))


@pytest.mark.parametrize(
    ("of", "ratio"), [("batch", 16.0), ("standard", 4.0), ("interactive", 2.0), ("latency_critical", 1.0)]
)
def test_price(of: LatencyClass, ratio: float) -> None:
    """A quarter of the price counts according to the latency class; where no price is known, the mean is assumed."""
    cheap, dear = (TokenPrice(input_per_mtok=Decimal(n), output_per_mtok=Decimal(n)) for n in (1, 4))
    found = shares(board(), of=of, upstreams=[upstream("a", price=cheap), upstream("b", price=dear), upstream("c")])
    assert found["a"] / found["b"] == pytest.approx(ratio)
    assert found["a"] >= found["c"] >= found["b"]


def test_a_free_upstream_does_not_starve_the_others() -> None:
    """A price of nothing counts as a hundredth."""
    free, dear = (TokenPrice(input_per_mtok=Decimal(n), output_per_mtok=Decimal(n)) for n in (0, 4))
    found = shares(board(), of="standard", upstreams=[upstream("a", price=free), upstream("b", price=dear)])
    assert found["a"] / found["b"] == pytest.approx(100)


def test_the_pace_counts_in_long_answers() -> None:
    """Who begins soon and writes slowly is not who ends first."""
    writes_slowly = replace(NORMAL, ttft_s=0.5, normal_ttft_s=0.5, tpot_s=0.05)
    known = board(a=writes_slowly, b=replace(NORMAL, tpot_s=0.01))
    for chat, first in ((request(), "a"), (request(max_output_tokens=1000), "b"), (request(stream=False), "b")):
        assert order(decided(known, 0.0, 0.0, steering="balanced", names="ab", chat=chat))[0] == first


def test_draws_follow_the_weights() -> None:
    """Over 4000 requests the shares are those of the weights, give or take five standard deviations."""
    rng = random.Random(7)
    known = board(a=replace(NORMAL, ttft_s=0.5))
    route = Route(name="chat", upstreams=(UpstreamId("a"), UpstreamId("b")), steering="balanced")
    listed = (upstream("a"), upstream("b"))
    first = Counter(
        decide(request(), route, listed, known, 0.0, rng.random).candidates[0].upstream.id for _ in range(4000)
    )
    assert first[UpstreamId("a")] / 4000 == pytest.approx(0.8, abs=0.032)


@pytest.mark.parametrize(("in_flight", "first"), [(0, "a"), (5, "b")])
def test_two_choices(in_flight: int, first: str) -> None:
    """Of two draws the one with less in flight is taken."""
    known = board(a=replace(NORMAL, in_flight=in_flight, in_flight_limit=1000.0))
    assert order(decided(known, 0.0, 0.9, steering="balanced", names="ab"))[0] == first


# -- affinity


def test_a_conversation_stays() -> None:
    """Whatever is drawn, and without drawing; a third of the best weight is enough."""
    for i in range(20):
        key = f"session-{i}"
        own = rendezvous(key, [UpstreamId(name) for name in "abc"])
        assert own is not None
        assert order(decided(board(), steering="balanced", key=key))[0] == own
        lesser = board(**{own: replace(NORMAL, ttft_s=1.7)})
        assert order(decided(lesser, steering="balanced", key=key))[0] == own


@pytest.mark.parametrize("known", [replace(NORMAL, ttft_s=1.8), (SUSPECT, NORMAL), (SLOW, NORMAL), OPEN, HALF_OPEN])
def test_a_conversation_moves(known: Standing | Estimate | Known) -> None:
    """When its upstream falls below a third of the best, or is not well; to one place, and not all over."""
    own = rendezvous("session", [UpstreamId(name) for name in "abc"])
    second = rendezvous("session", [UpstreamId(name) for name in "abc" if name != own])
    assert own is not None
    assert order(decided(board(**{own: known}), steering="balanced", key="session"))[0] == second


# -- panic


@pytest.mark.parametrize("panic", [True, False])
def test_last_resorts_are_the_ones_that_are_not_known_to_be_down_first(panic: bool) -> None:
    """Where nobody can be asked: one that is being checked or back and full, then open breakers, then rejected keys."""
    checked = replace(SUSPECT, can_ask=False, is_probe=True)
    full = Standing(breaker="ramping", can_ask=False)
    known = board(a=REJECTED_KEY, b=(OPEN, NORMAL), c=(checked, ILL), d=(full, ILL))
    assert order(decided(replace(known, panic=panic), names="abcd")) == "cdba"


def test_panic() -> None:
    """The least ill goes first, nothing is asked twice; a rejected key and a rate limit still count. Who is on its way
    back is tried beside: in a trial two crowded backups stayed ill for as long as nobody asked the third."""
    known = board(a=(SUSPECT, ILL), b=(SLOW, replace(ILL, penalty=1.0)), c=REJECTED_KEY, d=RESTING, e=HALF_OPEN)
    decision = decided(replace(known, panic=True), names="cdeab", plan="race")
    assert (order(decision), probed(decision), decision.plan, decision.is_panic) == ("badc", "e", "failover", True)


# -- plans


@pytest.mark.parametrize(
    ("plan", "of", "known", "expected"),
    [
        ("hedge", "interactive", {}, "hedge"),
        ("race", "standard", {}, "race"),
        ("failover", "latency_critical", {}, "failover"),
        ("race", "batch", {}, "failover"),
        ("hedge", "latency_critical", {"a": (SUSPECT, NORMAL), "b": (SUSPECT, NORMAL), "c": OPEN}, "race"),
        ("hedge", "latency_critical", {"a": (SUSPECT, NORMAL)}, "hedge"),  # b is asked first
        ("hedge", "interactive", {"a": (SUSPECT, NORMAL)}, "hedge"),
        ("hedge", "interactive", {"b": OPEN, "c": OPEN}, "failover"),
        ("race", "interactive", {"a": OPEN, "b": OPEN, "c": OPEN}, "failover"),
    ],
)
def test_plans(plan: PlanName, of: LatencyClass, known: dict[str, Standing | Known], expected: PlanName) -> None:
    """A second call is made where it can be of use and its class is worth it."""
    decision = decided(board(**known), plan=plan, of=of)
    assert decision.plan == expected
    assert any(f"{expected} instead of {plan}" in reason for reason in decision.reasons) == (plan != expected)


def test_the_route_has_a_class() -> None:
    """A request that names none gets its route's."""
    route = Route(name="chat", upstreams=(UpstreamId("a"),), latency_class="batch")
    assert decide(request(), route, [upstream("a")], board(), 0.0, draws()).latency_class == "batch"


# -- the whole

PENALTIES = (0.0, 0.0, 0.7, 3.0)
STANDINGS = (WELL, WELL, SUSPECT, SLOW, OPEN, HALF_OPEN, RESTING, REJECTED_KEY)


@settings(deadline=None, max_examples=200)
@given(
    known=st.lists(
        st.tuples(
            st.sampled_from(STANDINGS),
            st.builds(
                Estimate,
                ttft_s=st.sampled_from([0.3, 1.0, 4.0]),
                normal_ttft_s=st.sampled_from([0.3, 1.0]),
                penalty=st.sampled_from(PENALTIES),
                capacity=st.sampled_from([0.0, 0.1, 1.0]),
                in_flight=st.integers(0, 3),
                in_flight_limit=st.sampled_from([0.0, 2.0, float("inf")]),
                is_cold=st.booleans(),
            ),
            st.sampled_from([True, False, None]),
        ),
        min_size=1,
        max_size=7,
    ),
    steering=st.sampled_from(["preferred", "balanced"]),
    of=st.sampled_from(["batch", "standard", "interactive", "latency_critical"]),
    panic=st.booleans(),
    key=st.sampled_from([None, "session"]),
    draw=st.randoms(use_true_random=False),
)
def test_whatever_is_known(  # the arguments are what hypothesis draws
    known: list[tuple[Standing, Estimate, bool | None]],
    steering: Steering,
    of: LatencyClass,
    panic: bool,
    key: str | None,
    draw: random.Random,
) -> None:
    """Everyone is a candidate, the probe or rejected, once, who is explored both of the first; who can be asked goes
    before who cannot; it is JSON."""
    listed = [upstream(str(i), capabilities=Capabilities(tools=each[2])) for i, each in enumerate(known)]
    facts = Board(known={UpstreamId(str(i)): each[:2] for i, each in enumerate(known)}, panic=panic)
    route = Route(name="chat", upstreams=tuple(each.id for each in listed), steering=steering)
    explorer = Explorer()
    for at in (0.0, 6.0):
        decision = decide(
            request(uses_tools=True),
            route,
            listed,
            facts,
            at,
            draw.random,
            affinity_key=key,
            latency_class=of,
            explorer=explorer,
        )
        ids = [each.upstream.id for each in decision.candidates]
        rejected = [each.upstream for each in decision.rejected]
        probe = [] if decision.probe is None or decision.is_exploring else [decision.probe.upstream.id]
        assert sorted(ids + rejected + probe) == sorted(each.id for each in listed)
        assert rejected == [each.id for each in listed if each.capabilities.tools is False]
        groups = [(not each.standing.can_ask, each.standing.is_probe) for each in decision.candidates]
        assert groups == sorted(groups)
        assert all(each.weight >= 0 for each in decision.candidates)
        if probe:
            assert decision.candidates[0].standing.can_ask
            assert not decision.candidates[0].standing.is_probe
        assert json.dumps(explain(decision, at), allow_nan=False)
        assert summary(decision).startswith("chat: ")


@settings(deadline=None, max_examples=60)
@given(draw=st.randoms(use_true_random=False), one=st.floats(0, 0.999), two=st.floats(0, 0.999))
def test_permutations(draw: random.Random, one: float, two: float) -> None:
    """On a balanced route the order of the configuration decides nothing; on the other it decides between equals."""
    names = "".join(draw.sample("abcd", 4))
    known = board(b=replace(NORMAL, ttft_s=0.5), c=(SUSPECT, ILL))
    balanced = [order(decided(known, one, two, names=each, steering="balanced")) for each in ("abcd", names)]
    assert balanced[0] == balanced[1]
    assert order(decided(known, names=names)) == names.replace("c", "") + "c"


def test_the_decision_explains_itself() -> None:
    """How each stood, in words and figures; nothing that cannot be written as JSON."""
    blind = upstream("blind", capabilities=Capabilities(vision=False))
    listed = [upstream("a"), blind, upstream("b"), upstream("c")]
    known = board(a=(SUSPECT, replace(ILL, capacity=0.5)), c=RESTING)
    decision = decided(known, upstreams=listed, now=1.0, chat=request(images=1))
    assert decision.rejected == (Rejected(upstream=UpstreamId("blind"), reason="it does not take images"),)
    found = explain(decision, 1.0)
    candidates = found["candidates"]
    assert isinstance(candidates, list)
    assert [each["upstream"] for each in candidates] == ["b", "a", "c"]
    assert candidates[1]["reasons"] == [
        "errors gather",
        "what speaks against it leaves 5% of its weight",
        "its ramp or its rate limit lets 50% through",
    ]
    assert candidates[2]["in_s"] == 8.0
    assert candidates[2]["reasons"] == ["it cannot be asked for another 8.0 s"]
    assert found["reasons"] == ["who is preferred is not well: the first of the others goes first"]
    assert found["rejected"] == [{"upstream": "blind", "reason": "it does not take images"}]
    assert summary(decision) == "chat: hedge b, a, c"


@pytest.mark.parametrize("kind", ["healthy", "suspect", "slow", "rate_limited", "auth_failed"])
@pytest.mark.parametrize("breaker", ["closed", "open", "half_open", "ramping"])
def test_a_lone_upstream(kind: StandingKind, breaker: BreakerState) -> None:
    """However it stands it is the only candidate, for there is nobody to steer to."""
    lone = Standing(kind=kind, breaker=breaker, can_ask=breaker != "open", is_probe=breaker == "half_open")
    for steering in ("preferred", "balanced"):
        assert order(decided(board(a=(lone, ILL)), 0.0, 0.0, names="a", steering=steering)) == "a"
