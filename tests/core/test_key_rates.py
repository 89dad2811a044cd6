"""Limits of a minute, at literal times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.caller import ANYONE, Caller
from streamroute.core.cost.key_rates import UNLIMITED, KeyRates, OverLimit, Reservation
from streamroute.core.rate_limit import RateLimitReport


def caller(rpm: int | None = None, tpm: int | None = None, key_id: str = "k") -> Caller:
    return Caller(key_id=key_id, requests_per_min=rpm, tokens_per_min=tpm)


def ask(rates: KeyRates, who: Caller, now: float, prompt: int = 0, output: int = 0) -> Reservation | OverLimit:
    return rates.reserve(who, prompt_tokens=prompt, output_tokens=output, now=now)


def test_a_minutes_worth_may_come_at_once_and_drains_evenly() -> None:
    """Three a minute: three now, the next one 20 s later, and it is said when."""
    rates, who = KeyRates(), caller(rpm=3)
    assert [type(ask(rates, who, 100.0)) for _ in range(3)] == [Reservation] * 3
    refused = ask(rates, who, 105.0)
    assert refused == OverLimit(kind="requests", limit=3, used=3, requested=1, retry_after_s=pytest.approx(15.0))
    assert isinstance(ask(rates, who, 119.99), OverLimit)
    assert isinstance(ask(rates, who, 120.0), Reservation)
    assert isinstance(ask(rates, who, 120.0), OverLimit)


def test_tokens_are_reserved_by_estimate_and_settled_by_what_came() -> None:
    """What was not used is free again; what was used beyond the estimate is owed."""
    rates, who = KeyRates(), caller(tpm=1000)
    first = ask(rates, who, 0.0, 100, 800)
    assert first == Reservation("k", 900)
    over = ask(rates, who, 0.0, 50, 200)
    assert over == OverLimit(kind="tokens", limit=1000, used=900, requested=250, retry_after_s=pytest.approx(9.0))
    rates.settle(first, 150)
    second = ask(rates, who, 0.0, 50, 800)
    assert isinstance(second, Reservation)
    rates.settle(second, 1850)
    over = ask(rates, who, 0.0, 0, 100)
    assert isinstance(over, OverLimit)
    assert over.retry_after_s == pytest.approx((2000 + 100 - 1000) / 1000 * 60)


def test_a_settlement_after_the_reservation_has_drained_gives_nothing_away() -> None:
    """A bucket is never emptier than empty."""
    rates, who = KeyRates(), caller(tpm=100)
    held = ask(rates, who, 0.0, 100)
    assert isinstance(held, Reservation)
    assert isinstance(ask(rates, who, 60.0, 50), Reservation)
    rates.settle(held, 0)
    assert isinstance(ask(rates, who, 60.0, 101), OverLimit)
    assert isinstance(ask(rates, who, 60.0, 100), Reservation)


def test_a_large_max_tokens_waits_until_nothing_is_used() -> None:
    """It cannot fit as it is said, and need not be as large; a prompt that is larger than the limit never fits."""
    rates, who = KeyRates(), caller(tpm=1000)
    assert ask(rates, who, 0.0, 10, 128_000) == Reservation("k", 1000)
    waits = ask(rates, who, 0.0, 10, 128_000)
    assert isinstance(waits, OverLimit)
    assert waits.retry_after_s == pytest.approx(60.0)
    assert ask(rates, who, 600.0, 1001) == OverLimit(
        kind="tokens", limit=1000, used=0, requested=1001, retry_after_s=None
    )


def test_what_is_refused_takes_nothing() -> None:
    """No request where the tokens do not fit, and no tokens where the request does not."""
    rates, who = KeyRates(), caller(rpm=2, tpm=100)
    assert isinstance(ask(rates, who, 0.0, 90), Reservation)
    assert isinstance(ask(rates, who, 0.0, 90), OverLimit)
    assert isinstance(ask(rates, who, 0.0, 10), Reservation)
    assert isinstance(ask(rates, who, 0.0, 0), OverLimit)
    assert rates.report(who, 0.0) == RateLimitReport(
        limit_requests=2,
        remaining_requests=0,
        reset_requests_s=60.0,
        limit_tokens=100,
        remaining_tokens=0,
        reset_tokens_s=60.0,
    )


def test_the_report_follows_the_time() -> None:
    """What is left grows, and the reset comes nearer; limits that there are not are not reported."""
    rates, who = KeyRates(), caller(rpm=60)
    ask(rates, who, 0.0)
    ask(rates, who, 0.0)
    report = rates.report(who, 0.5)
    assert report == RateLimitReport(limit_requests=60, remaining_requests=58, reset_requests_s=1.5)
    report = rates.report(who, 3.0)
    assert report == RateLimitReport(limit_requests=60, remaining_requests=60, reset_requests_s=0.0)


def test_who_has_no_limit_is_not_counted() -> None:
    """Nor kept in mind."""
    rates = KeyRates()
    assert ask(rates, ANYONE, 0.0, 10**9) is UNLIMITED
    assert ask(rates, caller(), 0.0, 10**9) is UNLIMITED
    assert rates.report(ANYONE, 0.0) is None
    rates.settle(UNLIMITED, 5)


def test_each_key_has_its_own_and_those_that_are_gone_are_forgotten() -> None:
    """A settlement of a key that is gone does nothing."""
    rates, a, b = KeyRates(), caller(rpm=1, tpm=10, key_id="a"), caller(rpm=1, key_id="b")
    held = ask(rates, a, 0.0, 10)
    assert isinstance(held, Reservation)
    assert isinstance(ask(rates, b, 0.0), Reservation)
    assert isinstance(ask(rates, a, 0.0, 1), OverLimit)
    rates.keep({"b"})
    rates.settle(held, 10)
    assert isinstance(ask(rates, a, 0.0, 1), Reservation)
    assert isinstance(ask(rates, b, 0.0), OverLimit)


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 5), st.integers(0, 60)), max_size=60),
)
def test_never_more_than_the_limit_and_what_has_drained(limit: int, asked: list[tuple[float, int]]) -> None:
    """In no stretch of time do more tokens pass than a whole limit and its share of that stretch."""
    rates, who, now = KeyRates(), caller(tpm=limit), 0.0
    passed: list[tuple[float, int]] = []
    for wait_s, tokens in asked:
        now += wait_s
        held = ask(rates, who, now, tokens)
        if isinstance(held, Reservation):
            passed.append((now, tokens))
    for i, (began, _) in enumerate(passed):
        for j in range(i, len(passed)):
            taken = sum(tokens for _, tokens in passed[i : j + 1])
            assert taken <= limit * (1 + (passed[j][0] - began) / 60) + 1e-3
