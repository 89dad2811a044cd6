"""Budgets of retries and hedges, at literal times and amounts."""

from dataclasses import replace
from decimal import Decimal

import pytest

from streamroute.core.health.attempt_budget import (
    MAX_TRACKED,
    MIN_HEDGES,
    TOKENS,
    AttemptBudget,
    HedgeBudget,
    RetryTokens,
    SpendWindow,
    attempt_cost_usd,
)
from streamroute.core.upstream import LatencyClass, TokenPrice, UpstreamId
from tests.support.observations import upstream

A, B = UpstreamId("a"), UpstreamId("b")


def test_tokens_of_a6() -> None:
    """As many failures as half of them stop, one success more than half lets through again; never below 0 nor above."""
    tokens, allowed = RetryTokens(), []
    for is_success in (*[False] * int(TOKENS / 2), True):
        tokens.ended(is_success=is_success)
        allowed.append(tokens.allows)
    assert allowed == [*[True] * (int(TOKENS / 2) - 1), False, True]
    for _ in range(40):
        tokens.ended(is_success=False)
    assert tokens.tokens == 0.0
    for _ in range(200):
        tokens.ended(is_success=True)
    assert tokens.tokens == TOKENS


def test_cost_of_an_attempt() -> None:
    """By the upstream's price, or by a nominal one at a ratio of 1 to 4."""
    priced = replace(upstream("a"), price=TokenPrice(input_per_mtok=Decimal("2.5"), output_per_mtok=Decimal(10)))
    assert attempt_cost_usd(priced, 1_000_000, 100_000) == pytest.approx(3.5)
    assert attempt_cost_usd(upstream("b"), 1_000_000, 100_000) == pytest.approx(1.4)


def test_the_window_forgets() -> None:
    """A minute, to the nearest five seconds, also after a long silence; nothing turns negative."""
    window = SpendWindow()
    window.add(1.0, 100.0)
    window.add(2.0, 130.0)
    assert [window.sum_usd(at) for at in (130.0, 159.9, 160.0, 190.0, 1e6)] == [3.0, 3.0, 2.0, 0.0, 0.0]
    window.add(-1.0, 1e6)
    assert window.sum_usd(1e6) == 0.0


@pytest.mark.parametrize(
    ("latency_class", "allowed"), [("batch", 0), ("standard", 3), ("interactive", 5), ("latency_critical", 15)]
)
def test_hedges_are_a_share_of_the_spend(latency_class: LatencyClass, allowed: int) -> None:
    """Of 100 requests' spend: none, 3 %, 5 %, 15 %; a minute later none of it counts."""
    budget, started = HedgeBudget(), 0
    budget.spent(latency_class, 100.0, 100.0)
    while budget.denial(latency_class, 0.999, 100.0, 1000) is None:
        budget.settle(budget.start(latency_class, 0.999, 100.0), 100.0)
        started += 1
    assert started == allowed
    assert budget.denial(latency_class, 0.999, 100.0, 1000) == ("spend" if allowed else "off")


def test_one_hedge_a_window_while_traffic_is_low() -> None:
    """The first is allowed whatever was spent; the next waits for the window or for more spend."""
    budget = HedgeBudget()
    assert budget.denial("interactive", 1.0, 100.0, 1) is None
    budget.settle(budget.start("interactive", 1.0, 100.0), 101.0)
    assert budget.denial("interactive", 1.0, 101.0, 1) == "spend"
    assert budget.denial("interactive", 1.0, 161.0, 1) is None


@pytest.mark.parametrize(("in_flight", "most"), [(0, 4), (24, 4), (25, 5), (100, 20)])
def test_hedges_at_once(in_flight: int, most: int) -> None:
    """A fifth of what is in flight, four at least; a returned one makes room, once."""
    budget = HedgeBudget()
    budget.spent("interactive", 1e6, 100.0)
    out = []
    while budget.denial("interactive", 1.0, 100.0, in_flight) is None:
        out.append(budget.start("interactive", 1.0, 100.0))
    assert len(out) == most
    assert budget.denial("interactive", 1.0, 100.0, in_flight) == "in_flight"
    for _ in range(2):
        budget.settle(out[0], 100.0)
    assert budget.in_flight == most - 1


def test_a_hedge_with_a_token_is_no_extra_load() -> None:
    """It is the answer now: its place is free for the next who waits, once, and its end frees no second one."""
    budget = HedgeBudget()
    budget.spent("interactive", 1e6, 100.0)
    out = [budget.start("interactive", 1.0, 100.0) for _ in range(MIN_HEDGES)]
    assert budget.denial("interactive", 1.0, 100.0, 0) == "in_flight"
    for _ in range(2):
        budget.decided(out[0])
    assert budget.in_flight == MIN_HEDGES - 1
    assert budget.denial("interactive", 1.0, 100.0, 0) is None
    budget.settle(out[0], 101.0)
    budget.decided(out[0])
    assert budget.in_flight == MIN_HEDGES - 1


def test_a_hedge_with_a_token_still_costs() -> None:
    """Money counts to its end."""
    budget = HedgeBudget()
    spend = budget.start("interactive", 1.0, 100.0)
    budget.decided(spend)
    assert budget.sums_usd(100.0)[1] == 1.0
    budget.settle(spend, 101.0, cost_usd=0.4)
    assert budget.sums_usd(101.0)[1] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("cost_usd", "is_failure", "charged"), [(None, False, 1.0), (0.4, False, 0.4), (None, True, 2.0), (0.4, True, 0.8)]
)
def test_what_a_hedge_is_charged(cost_usd: float | None, is_failure: bool, charged: float) -> None:
    """What it really cost, as expected where that is not known, twice where it failed."""
    budget = HedgeBudget()
    spend = budget.start("interactive", 1.0, 100.0)
    assert budget.sums_usd(100.0) == (0.0, 1.0)
    budget.settle(spend, 101.0, cost_usd=cost_usd, is_failure=is_failure)
    assert budget.sums_usd(101.0)[1] == pytest.approx(charged)


def test_a_bad_upstream_stops_its_own_retries() -> None:
    """Its tokens are its own, until all together have none left."""
    budget = AttemptBudget()
    for _ in range(int(TOKENS / 2)):
        budget.ended(A, is_success=False)
        for _ in range(5):
            budget.ended(B, is_success=True)
    assert (budget.may_retry(A), budget.may_retry(B)) == (False, True)
    assert (budget.tokens_of(A), budget.tokens_of(B)) == (TOKENS / 2, TOKENS)
    assert not budget.may_hedge("interactive", 1.0, 1.0, 10, A)
    assert budget.may_hedge("interactive", 1.0, 1.0, 10, B)
    for _ in range(int(TOKENS)):
        budget.ended(B, is_success=False)
    assert budget.may_retry(UpstreamId("c")), "nothing is held against it"
    assert not budget.may_hedge("interactive", 1.0, 1.0, 10, UpstreamId("c"))
    assert not budget.may_hedge("interactive", 1.0, 1.0, 10)


def test_figures() -> None:
    """Counters by reason, and the last minute's money."""
    budget = AttemptBudget()
    busy = [budget.hedge_started("interactive", 0.0, 1.0) for _ in range(MIN_HEDGES - 1)]
    budget.spent("interactive", 2.0, 1.0)
    assert budget.may_hedge("interactive", 1.0, 1.0, 10)
    spend = budget.hedge_started("interactive", 1.0, 1.0)
    assert not budget.may_hedge("interactive", 1.0, 1.0, 10)
    budget.hedge_ended(spend, 2.0, cost_usd=0.5)
    for each in busy:
        budget.hedge_ended(each, 2.0)
    assert not budget.may_hedge("interactive", 1.0, 2.0, 10)
    assert not budget.may_hedge("batch", 1.0, 2.0, 10)
    figures = budget.figures(2.0)
    assert (figures.hedges_allowed, figures.hedges_in_flight) == (1, 0)
    assert figures.hedges_denied == {"in_flight": 1, "spend": 1, "off": 1}
    assert (figures.spent_usd, figures.hedge_spent_usd) == (2.0, 0.5)


def test_memory_is_bounded() -> None:
    """Upstreams that clients make up push out those with the least against them."""
    budget = AttemptBudget()
    for _ in range(int(TOKENS) - 1):
        budget.ended(A, is_success=False)
    for number in range(MAX_TRACKED + 10):
        budget.ended(UpstreamId(f"made-up/{number}"), is_success=False)
    assert len(budget._tokens) == MAX_TRACKED
    assert budget._tokens[A].tokens == 1.0
