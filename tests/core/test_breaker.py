"""The breaker, at literal times."""

import itertools
import typing

import pytest

from streamroute.core.health.breaker import (
    FAILURES_TO_OPEN,
    FAILURES_TO_RELAPSE,
    LEFT_TO_PROBER_S,
    MAX_OPEN_S,
    OPEN_S,
    PROBES,
    PROOFS_TO_RAMP,
    RAMP_S,
    Permit,
)
from streamroute.core.health.standing import BreakerState
from tests.support.breakers import admitted, breaker, in_state, opened, ramping

Result = typing.Literal["success", "failure"]


def test_it_opens_after_failures_in_a_row() -> None:
    """Three in a row open it; a success in between begins the count again."""
    subject = breaker()
    for event in ("failure", "failure", "success", "failure", "failure"):
        subject.settle(admitted(subject, 1.0), 1.0, "failure" if event == "failure" else "success")
        assert subject.state == "closed"
    subject.settle(admitted(subject, 2.0), 2.0, "failure")
    assert (subject.state, subject.changed_at, subject.reopens_at) == ("open", 2.0, 2.0 + OPEN_S)
    assert subject.reason == "3 failures in a row"
    assert subject.admit(2.1) is None


def test_a_first_token_does_not_hide_how_streams_end() -> None:
    """Streams that begin well and break off open it all the same."""
    subject = breaker()
    for _ in range(FAILURES_TO_OPEN):
        permit = admitted(subject, 1.0)
        subject.proved(permit, 1.1)
        subject.settle(permit, 2.0, "failure")
    assert subject.state == "open"


def test_what_says_nothing_counts_for_nothing() -> None:
    """Cancels and client errors neither add up nor interrupt a row of failures."""
    subject = breaker()
    for event in ("failure", None, "failure", None, "failure"):
        subject.settle(admitted(subject, 1.0), 1.0, "failure" if event else None)
    assert subject.state == "open"


def test_probes_double_with_proofs() -> None:
    """1, then 2, then 4 under way at once; a proof frees its place, three lead on."""
    subject = opened()
    assert not subject.is_ready(2.99)
    for limit in PROBES:
        out = [admitted(subject, 3.0) for _ in range(limit)]
        assert all(each.is_probe for each in out)
        assert not subject.wants_probe(3.0)
        assert subject.admit(3.0) is None
        for each in out[1:]:
            subject.settle(each, 3.0, None)
        assert subject.state == "half_open"
        subject.proved(out[0], 3.1)
        subject._next_probe_at = 3.0  # those given back would ask for a pause
    assert subject.state == "ramping"


@pytest.mark.parametrize("proofs", range(PROOFS_TO_RAMP))
def test_one_failed_probe_opens_it_again(proofs: int) -> None:
    """Whatever was proved before; also where a stream that had begun well breaks off."""
    subject, permits = opened(), []
    for _ in range(proofs):
        permits.append(admitted(subject, 3.0))
        subject.proved(permits[-1], 3.0)
    subject.settle(permits[0] if permits else admitted(subject, 3.0), 3.5, "failure")
    assert (subject.state, subject.reopens_at) == ("open", 3.5 + OPEN_S)


def test_a_probe_without_a_verdict_is_given_back() -> None:
    """A cancelled probe makes room for the next after a pause: a hung upstream is not asked by every request."""
    subject = opened()
    subject.settle(admitted(subject, 3.0), 3.4, None)
    assert (subject.state, subject.wants_probe(4.9, is_active=True)) == ("half_open", False)
    assert subject.wants_probe(5.0, is_active=True)


def test_after_a_probe_without_a_verdict_the_prober_comes_first() -> None:
    """Else, where every request ends before a probe beside it can answer, requests would keep taking its turn."""
    subject = opened()
    subject.settle(admitted(subject, 3.0), 3.1, None)
    assert (subject.is_ready(8.9), subject.is_ready(9.0)) == (False, True), "a prober may be off, or out of money"
    own = subject.admit(6.0, is_active=True)
    assert own is not None
    subject.proved(own, 6.2)
    assert (subject.is_ready(6.2), subject.wants_probe(6.2, is_active=True)) == (False, True)
    beside = admitted(subject, 6.2 + LEFT_TO_PROBER_S)
    subject.proved(beside, 10.3)
    assert subject.is_ready(10.3), "probes beside requests tell again"


def test_a_proof_counts_once() -> None:
    """Neither a second first token nor the end of the same call is another proof."""
    subject = opened()
    probe = admitted(subject, 3.0)
    subject.proved(probe, 3.1)
    subject.proved(probe, 3.1)
    subject.settle(probe, 4.0, "success")
    assert subject._proofs == 1


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_at_most_one_probe_in_two_seconds_while_down(draw: float) -> None:
    """Pauses grow with the time down, to half a minute; jitter moves them by a fifth, never below 2 s."""
    subject = opened(draw)
    asked = [1.0]
    while asked[-1] < 3600.0:
        assert subject.reopens_at is not None
        asked.append(subject.reopens_at)
        subject.settle(admitted(subject, asked[-1]), asked[-1], "failure")
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert min(pauses) >= OPEN_S
    assert pauses[-1] == pytest.approx(MAX_OPEN_S * (0.8 + 0.4 * draw))
    assert max(pause for at, pause in zip(asked, pauses, strict=False) if at <= 61.0) <= 60 / 16 * 1.2


def test_relapses_lengthen_the_shortest_pause() -> None:
    """One that opens again and again waits 2, 4, 8, 16 s; minutes of health make it forget."""
    subject, now, lasted = breaker(), 1.0, []
    for _ in range(5):
        subject.trip(now, "errors")
        assert subject.reopens_at is not None
        lasted.append(subject.reopens_at - now)
        now = subject.reopens_at
        for _ in range(PROOFS_TO_RAMP):
            subject.settle(admitted(subject, now), now, "success")
        assert subject.state == "ramping"
    assert lasted == [2.0, 4.0, 8.0, 16.0, 16.0]
    assert subject.share(now + RAMP_S) == 1.0
    assert (subject.state, subject.openings) == ("closed", 4)
    subject.trip(now + RAMP_S + 300.0, "errors")
    assert (subject.openings, subject.reopens_at) == (1, now + RAMP_S + 302.0)


def test_the_share_grows_with_proofs_and_time() -> None:
    """A quarter, a half, all: a step for each proof, half a second at least on each."""
    subject = ramping()
    assert [subject.share(at) for at in (3.0, 9.0)] == [0.25, 0.25]
    for _ in range(2):
        subject.proved(admitted(subject, 3.1), 3.1)
    assert [subject.share(at) for at in (3.1, 3.5, 4.0)] == [0.25, 0.5, 1.0]


def test_full_share_in_three_seconds_at_five_requests_a_second() -> None:
    """Requests follow the share; each one's first token comes after half a second and it streams for five."""
    subject, due = ramping(), 0.0
    tokens: list[tuple[Permit, float]] = []
    for tick in range(300):
        now = 3.0 + tick / 100
        for permit, at in list(tokens):
            if at <= now:
                subject.proved(permit, now)
                tokens.remove((permit, at))
        due += 5 * subject.share(now) / 100
        if due >= 1 and subject.is_ready(now):
            tokens.append((admitted(subject, now), now + 0.5))
            due -= 1
        if subject.share(now) == 1.0:
            break
    assert subject.share(now) == 1.0
    assert 1.0 <= now - 3.0 <= 3.0


def test_in_flight_while_ramping() -> None:
    """Twice what was proved; what streams on from before counts, what ends makes room."""
    subject = ramping()
    assert (subject.in_flight_limit, subject._in_flight) == (6, 3)
    out = [admitted(subject, 3.0) for _ in range(3)]
    assert subject.admit(3.0) is None
    subject.settle(out[0], 3.2, None)
    assert subject.is_ready(3.2)
    subject.proved(out[1], 3.2)
    assert subject.in_flight_limit == 8


def test_a_ramp_ends() -> None:
    """After 20 s it is closed, with requests or without."""
    subject = ramping()
    assert subject.share(22.9) < 1
    assert (subject.share(23.0), subject.state, subject.reopens_at) == (1.0, "closed", None)


def test_a_cold_upstream_relapses() -> None:
    """One failure takes the share back to its beginning, two in a row open it."""
    subject = ramping()
    for _ in range(2):
        subject.proved(admitted(subject, 3.1), 3.1)
    subject.settle(admitted(subject, 5.0), 5.0, "failure")
    assert (subject.state, subject.share(5.0), subject.in_flight_limit) == ("ramping", 0.25, 4)
    for _ in range(FAILURES_TO_RELAPSE - 1):
        subject.settle(admitted(subject, 5.0, last_resort=True), 5.0, "failure")
    assert (subject.state, subject.openings) == ("open", 2)


def test_a_last_resort_that_answers_is_the_first_proof() -> None:
    """An open breaker does not wait out its time against what is seen."""
    subject = opened()
    subject.settle(admitted(subject, 1.5, last_resort=True), 2.0, "success")
    assert (subject.state, subject._proofs, subject.wants_probe(2.0)) == ("half_open", 1, True)


def test_trip() -> None:
    """Evidence from elsewhere opens it at once, with its reason; an open one stays as it is."""
    for state in ("closed", "half_open", "ramping"):
        subject, now = in_state(state)
        assert subject.is_ready(now)
        subject.trip(now, "one in five fails")
        assert (subject.state, subject.reason) == ("open", "one in five fails")
    before = subject.reopens_at
    subject.trip(now + 1.0, "again")
    assert (subject.reopens_at, subject.reason) == (before, "one in five fails")


def test_block_for_a_given_time() -> None:
    """An upstream that needs a person is out for as long as was said, and never for less."""
    subject = breaker()
    subject.block(1.0, 300.0)
    subject.block(2.0, 5.0)
    assert not subject.is_ready(300.9)
    assert subject.is_ready(301.0)


def test_an_operator_is_obeyed() -> None:
    """Forced open it stays open, also for last resorts, until it is forced closed."""
    subject = breaker()
    early = admitted(subject, 0.5)
    subject.force("open", 1.0, "maintenance")
    subject.settle(early, 1.5, "success")
    subject.block(2.0, 5.0)
    subject.trip(2.0, "errors")
    assert not subject.is_ready(1e6)
    assert subject.admit(1e6, is_last_resort=True) is None
    assert (subject.state, subject.reason, subject.reopens_at, subject.is_forced) == ("open", "maintenance", None, True)
    subject.force("closed", 1e6, "done")
    assert (subject.state, subject.is_ready(1e6), subject.openings, subject.is_forced) == ("closed", True, 0, False)


@pytest.mark.parametrize("event", ["success", "failure"])
@pytest.mark.parametrize("state", ["open", "half_open", "ramping"])
def test_late_results_of_an_older_generation(state: BreakerState, event: Result) -> None:
    """A call from before the breaker opened moves nothing."""
    subject = breaker()
    old = [admitted(subject, 0.5) for _ in range(FAILURES_TO_OPEN)]
    subject.trip(1.0, "errors")
    now = 2.0 if state == "open" else 3.0
    for _ in range(PROOFS_TO_RAMP if state == "ramping" else 0):
        subject.proved(admitted(subject, now), now)
    subject.is_ready(now)
    proofs = subject._proofs
    for each in old:
        subject.proved(each, now)
        subject.settle(each, now, event)
    assert (subject.state, subject._proofs, subject._in_flight) == (state, proofs, proofs)


def test_a_permit_is_settled_once() -> None:
    """Giving a permit back twice is harmless."""
    subject = breaker()
    permit = admitted(subject, 1.0)
    for _ in range(FAILURES_TO_OPEN):
        subject.settle(permit, 1.0, "failure")
    assert (subject.state, subject._in_flight) == ("closed", 0)
