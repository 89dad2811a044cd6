"""Limits that are foreseen and limits that are learned; trouble that belongs together, and trouble that is ours."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.health.domains import (
    ACTIVE_S,
    LAG_FACTOR,
    LOCAL_TROUBLE_S,
    TOGETHER_S,
    Domains,
    Ourselves,
)
from streamroute.core.health.headroom import (
    CUT_EVERY_S,
    FORGET_AFTER_S,
    MAX_SENT,
    MAX_WAIT_S,
    NO_RESET_S,
    Headroom,
    LearnedLimit,
)
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.upstream import UpstreamId

A, B, C = (UpstreamId(name) for name in "abc")


def requests_left(left: int | None, *, of: int | None = 100, reset_s: float | None = 30.0) -> RateLimitReport:
    return RateLimitReport(limit_requests=of, remaining_requests=left, reset_requests_s=reset_s)


def tokens_left(left: int, *, of: int = 100_000, reset_s: float | None = 30.0) -> RateLimitReport:
    return RateLimitReport(limit_tokens=of, remaining_tokens=left, reset_tokens_s=reset_s)


# -- limits that are foreseen


def test_nothing_is_known_before_a_report() -> None:
    """However much is sent, nothing is blocked and the share is whole."""
    room = Headroom(0.0)
    for i in range(1000):
        room.sent(i * 0.001, 5000)
    assert room.blocked_until(1.0, 10**9) is None
    assert room.exhausted_in_s(1.0) == inf
    assert room.share(1.0) == 1.0


def test_what_is_under_way_counts_as_used() -> None:
    """Three were left and three are on their way: the next waits for the window's end, and no longer."""
    room = Headroom(0.0)
    room.reported(requests_left(3), 10.0)
    for i in range(3):
        assert room.blocked_until(10.1 + i * 0.1) is None
        room.sent(10.1 + i * 0.1, 100)
    assert room.blocked_until(10.5) == 40.0
    assert room.blocked_until(40.0) is None


def test_a_later_report_knows_of_the_calls_before_it() -> None:
    """Only what was sent after it is still to be taken off."""
    room = Headroom(0.0)
    room.reported(requests_left(3), 10.0)
    for i in range(3):
        room.sent(11.0 + i, 100)
    room.reported(requests_left(1), 12.5)
    assert room.blocked_until(13.5) is not None, "the call of second 13 takes the last"
    room.reported(requests_left(1), 13.2)
    assert room.blocked_until(13.5) is None


def test_a_prompt_must_fit_into_the_tokens_that_are_left() -> None:
    """A small one may still go where a large one must wait."""
    room = Headroom(0.0)
    room.reported(tokens_left(1000), 10.0)
    room.sent(10.1, 400)
    assert room.blocked_until(10.2, 600) is None
    assert room.blocked_until(10.2, 601) == 40.0
    room.sent(10.2, 600)
    assert room.blocked_until(10.3, 0) == 40.0


@pytest.mark.parametrize(
    "report",
    [
        requests_left(-1, of=0),
        requests_left(-1),
        requests_left(5, of=0),
        requests_left(101, of=100),
        requests_left(None),
        RateLimitReport(),
    ],
)
def test_nonsense_is_ignored(report: RateLimitReport) -> None:
    """Some providers send -1 of 0; nobody is kept from its upstream by that."""
    room = Headroom(0.0)
    room.reported(report, 10.0)
    assert room.reported_at == -inf
    assert room.blocked_until(10.1) is None


def test_old_news_is_ignored() -> None:
    """Answers may end in another order than they began."""
    room = Headroom(0.0)
    room.reported(requests_left(0), 10.0)
    room.reported(requests_left(50), 9.0)
    assert room.blocked_until(10.1) == 40.0


@pytest.mark.parametrize(
    ("reset_s", "wait_s"), [(None, NO_RESET_S), (-5.0, None), (0.0, None), (7.0, 7.0), (86_400.0, MAX_WAIT_S)]
)
def test_no_report_keeps_us_away_for_long(reset_s: float | None, wait_s: float | None) -> None:
    """Bounded above; a window that is over already blocks nothing."""
    room = Headroom(0.0)
    room.reported(requests_left(0, reset_s=reset_s), 10.0)
    assert room.blocked_until(10.0) == (None if wait_s is None else 10.0 + wait_s)


def test_the_share_falls_before_the_limit_is_reached() -> None:
    """At two requests a second, five are left for a minute: most of the traffic should go elsewhere already."""
    room = Headroom(0.0)
    shares = []
    for left in (1000, 60, 15, 4):
        for i in range(40):
            room.sent(20.0 * len(shares) + i * 0.5, 500)
        at = 20.0 * (len(shares) + 1)
        room.reported(requests_left(left, of=1000, reset_s=60.0), at)
        room.sent(at + 0.01, 500)
        shares.append(room.share(at + 0.02))
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.5
    assert all(0.0 <= share <= 1.0 for share in shares)


def test_the_scarcer_of_requests_and_tokens_counts() -> None:
    """Many requests are left, and tokens for a few seconds."""
    room = Headroom(0.0)
    for i in range(50):
        room.sent(i * 0.2, 1000)
    both = RateLimitReport(
        limit_requests=1000, remaining_requests=900, reset_requests_s=60.0,
        limit_tokens=100_000, remaining_tokens=10_000, reset_tokens_s=60.0,
    )  # fmt: skip
    room.reported(both, 10.0)
    assert 0.5 < room.exhausted_in_s(10.0) < 6.0


def test_a_window_that_ends_first_is_no_limit() -> None:
    """What lasts until it is whole again need not be saved."""
    room = Headroom(0.0)
    for i in range(50):
        room.sent(i * 0.2, 1000)
    room.reported(requests_left(30, reset_s=1.0), 10.0)
    assert room.share(10.0) == 1.0


def test_memory_is_bounded() -> None:
    """Without a report in sight no list grows for ever."""
    room = Headroom(0.0)
    room.reported(requests_left(5000, of=10_000), 1.0)
    for i in range(3 * MAX_SENT):
        room.sent(2.0 + i * 0.001, 1)
    assert room.blocked_until(6.0) is None


# -- limits that are learned


def test_no_limit_without_a_refusal() -> None:
    """Successes alone learn none."""
    limit = LearnedLimit()
    for i in range(100):
        limit.succeeded(float(i))
    assert limit.at(100.0) == inf


def test_a_refusal_cuts_and_success_and_time_give_back() -> None:
    """Below what was under way; not twice for the refusals of one moment; never below one call."""
    limit = LearnedLimit()
    limit.refused(10.0, 20)
    after_one = limit.at(10.0)
    assert 1.0 <= after_one < 20.0
    limit.refused(10.0 + CUT_EVERY_S / 2, 20)
    assert limit.at(10.0) == after_one
    assert limit.at(40.0) > after_one
    limit.succeeded(12.0)
    assert limit.at(10.0) == after_one + 1.0
    for i in range(50):
        limit.refused(20.0 + 2 * i, 0)
    assert limit.at(120.0) >= 1.0


def test_a_limit_that_was_not_met_again_is_forgotten() -> None:
    """After ten minutes nobody knows what it bears."""
    limit = LearnedLimit()
    limit.refused(10.0, 20)
    assert limit.at(10.0 + FORGET_AFTER_S) < inf
    assert limit.at(10.1 + FORGET_AFTER_S) == inf


# -- failure domains


def domains(*members: UpstreamId, domain: str = "region") -> Domains:
    found = Domains()
    for each in members:
        found.meet(each, domain)
    return found


def test_two_in_trouble_lend_evidence_to_the_third() -> None:
    """Half of the stronger, while it is fresh; one alone lends nothing, for it may be its own trouble."""
    found = domains(A, B, C)
    found.suspected(A, 1.4, 10.0)
    assert found.echo(C, 10.0) == 0.0
    found.suspected(B, 1.0, 12.0)
    assert found.echo(C, 12.0) == pytest.approx(0.7)
    assert found.echo(A, 12.0) == 0.0, "nobody hears his own echo"
    assert found.echo(C, 10.1 + TOGETHER_S) == 0.0


def test_strangers_lend_nothing() -> None:
    """An upstream without a domain is its own; a forgotten one lends no more."""
    found = domains(A, B)
    found.suspected(A, 1.4, 10.0)
    found.suspected(B, 1.4, 10.0)
    assert found.echo(C, 10.0) == 0.0
    assert found.of(C) == C
    found.meet(C, "region")
    assert found.echo(C, 10.0) > 0.0
    found.forget(A)
    found.forget(A)
    assert found.echo(C, 10.0) == 0.0


# -- ourselves


WHERE = {A: "one", B: "two", C: "two"}


def test_everybody_unreachable_at_once_is_our_own_trouble() -> None:
    """All who were asked lately, in two domains at least: they are named, so that it can be taken back."""
    us = Ourselves()
    for each in (A, B):
        us.asked(each, 10.0)
    assert us.unreachable(A, 11.0, WHERE) == []
    assert us.until == -inf
    assert sorted(us.unreachable(B, 12.0, WHERE)) == [A, B]
    assert us.until == 12.0 + LOCAL_TROUBLE_S


def test_one_that_can_be_reached_proves_that_it_is_not_us() -> None:
    """An answer from anyone, of whatever status."""
    us = Ourselves()
    for each in (A, B):
        us.asked(each, 10.0)
    us.unreachable(A, 11.0, WHERE)
    us.reached(A)
    assert us.unreachable(B, 12.0, WHERE) == []


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ([(B, 10.0), (C, 10.0)], [(B, 11.0), (C, 11.0)]),  # one domain: it may well be down
        ([(A, 10.0), (B, 10.0)], [(A, 11.0), (B, 12.0 + TOGETHER_S)]),  # not at once
        ([(A, 10.0), (B, 10.0), (C, 10.0)], [(A, 11.0), (B, 11.0)]),  # not everybody
    ],
)
def test_what_is_not_our_trouble(
    asked: list[tuple[UpstreamId, float]], refused: list[tuple[UpstreamId, float]]
) -> None:
    """Some failures to connect are the upstreams'."""
    us = Ourselves()
    for who, at in asked:
        us.asked(who, at)
    assert all(us.unreachable(who, at, WHERE) == [] for who, at in refused)
    assert us.until == -inf


def test_who_was_not_asked_lately_need_not_fail_too() -> None:
    """And who was forgotten neither."""
    us = Ourselves()
    us.asked(C, 10.0)
    for each in (A, B):
        us.asked(each, 11.0 + ACTIVE_S)
    us.unreachable(A, 11.0 + ACTIVE_S, WHERE)
    assert us.unreachable(B, 11.0 + ACTIVE_S, WHERE)
    us.asked(C, 12.0 + ACTIVE_S)
    us.forget(C)
    us.unreachable(A, 30.0 + ACTIVE_S, WHERE)
    assert us.unreachable(B, 30.0 + ACTIVE_S, WHERE)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5)), min_size=1, max_size=8))
def test_lateness_of_ours_never_ends_earlier_than_it_did(lags: list[tuple[float, float]]) -> None:
    """The longest counts."""
    us = Ourselves()
    for now, lag_s in lags:
        us.lagged(now, lag_s)
    assert us.until == max(now + LAG_FACTOR * lag_s for now, lag_s in lags)
