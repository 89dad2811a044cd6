"""The breaker, at literal times and under arbitrary sequences."""

import itertools
import typing

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from streamroute.core.health.breaker import (
    FAILURES_TO_OPEN,
    JITTER,
    MAX_OPEN_S,
    OPEN_S,
    TABLE,
    Breaker,
    BreakerEvent,
    BreakerState,
    Permit,
)


def breaker(draw: float = 0.0) -> Breaker:
    return Breaker(lambda: draw, 0.0)


def admitted(subject: Breaker, now: float, *, last_resort: bool = False) -> Permit:
    permit = subject.admit(now, is_last_resort=last_resort)
    assert permit is not None
    return permit


def opened(draw: float = 0.0) -> Breaker:
    subject = breaker(draw)
    for _ in range(FAILURES_TO_OPEN):
        subject.settle(admitted(subject, 1.0), 1.0, "failure")
    return subject


def in_state(state: BreakerState) -> tuple[Breaker, Permit, float]:
    """Return a breaker in that state, a call that is under way in it, and the time."""
    if state == "closed":
        subject = breaker()
        return subject, admitted(subject, 1.0), 1.0
    subject = opened()
    now = 2.0 if state == "open" else 1.0 + OPEN_S
    return subject, admitted(subject, now, last_resort=True), now


def test_it_opens_after_failures_in_a_row() -> None:
    """Three in a row open it; a success in between begins the count again."""
    subject = breaker()
    for event in ("failure", "failure", "success", "failure", "failure"):
        subject.settle(admitted(subject, 1.0), 1.0, event)
        assert subject.state == "closed"
    subject.settle(admitted(subject, 2.0), 2.0, "failure")
    assert (subject.state, subject.changed_at, subject.reopens_at) == ("open", 2.0, 2.0 + OPEN_S)
    assert subject.admit(2.1) is None


def test_what_says_nothing_counts_for_nothing() -> None:
    """Cancels, client errors and rate limits neither add up nor interrupt a row of failures."""
    subject = breaker()
    for event in ("failure", None, "failure", None, "failure"):
        subject.settle(admitted(subject, 1.0), 1.0, event)
    assert subject.state == "open"


def test_one_probe_at_a_time() -> None:
    """After its time one call goes through; the rest wait for what becomes of it."""
    subject = opened()
    assert not subject.is_ready(5.99)
    assert subject.is_ready(6.0)
    probe = admitted(subject, 6.0)
    assert probe.is_probe
    assert not subject.is_ready(6.1)
    assert subject.admit(6.1) is None
    subject.settle(probe, 6.5, "success")
    assert subject.state == "closed"
    assert subject.is_ready(6.5)


def test_a_probe_that_says_nothing_is_given_back() -> None:
    """A cancelled probe makes room for the next, at once."""
    subject = opened()
    subject.settle(admitted(subject, 6.0), 6.1, None)
    assert (subject.state, subject.is_ready(6.1)) == ("half_open", True)
    assert admitted(subject, 6.2).is_probe


def test_open_lasts_longer_each_time() -> None:
    """5 s, 10 s, 20 s ... at most 60 s; a success starts over."""
    subject, now, lasted = opened(), 1.0, []
    for _ in range(6):
        assert subject.reopens_at is not None
        lasted.append(subject.reopens_at - now)
        now = subject.reopens_at
        subject.settle(admitted(subject, now), now, "failure")
    assert lasted == [5.0, 10.0, 20.0, 40.0, MAX_OPEN_S, MAX_OPEN_S]
    assert subject.reopens_at is not None
    now = subject.reopens_at
    subject.settle(admitted(subject, now), now, "success")
    for _ in range(FAILURES_TO_OPEN):
        subject.settle(admitted(subject, now), now, "failure")
    assert subject.reopens_at == now + OPEN_S


def test_jitter() -> None:
    """Sidecars do not return in step: up to a fifth is added."""
    assert opened(0.5).reopens_at == pytest.approx(1.0 + OPEN_S * (1 + JITTER / 2))


def test_block_for_a_given_time() -> None:
    """An upstream that needs a person is out for as long as was said, and asked once after that."""
    subject = breaker()
    subject.block(1.0, 300.0)
    assert not subject.is_ready(300.9)
    assert subject.is_ready(301.0)


def test_late_results_of_an_older_generation() -> None:
    """A call from before the breaker opened neither closes nor opens it again."""
    for event, state in itertools.product(("success", "failure"), ("open", "half_open")):
        subject = breaker()
        old = admitted(subject, 0.5)
        for _ in range(FAILURES_TO_OPEN):
            subject.settle(admitted(subject, 1.0), 1.0, "failure")
        now = 2.0 if state == "open" else 6.0
        subject.is_ready(now)
        subject.settle(old, now, "success" if event == "success" else "failure")
        assert subject.state == state


def test_a_permit_is_settled_once() -> None:
    """Giving a permit back twice is harmless."""
    subject = breaker()
    permit = admitted(subject, 1.0)
    for _ in range(FAILURES_TO_OPEN):
        subject.settle(permit, 1.0, "failure")
    assert subject.state == "closed"


def test_the_table_is_complete() -> None:
    """Every state has a row for every event that can reach it: results anywhere, the timer where it is set."""
    states, events = typing.get_args(BreakerState), typing.get_args(BreakerEvent)
    never = {("closed", "timer"), ("half_open", "timer")}
    assert set(TABLE) == set(itertools.product(states, events)) - never


@pytest.mark.parametrize(("state", "event"), [row for row in TABLE if row[1] != "timer"])
def test_the_table_is_what_happens(state: BreakerState, event: typing.Literal["success", "failure"]) -> None:
    """Each row of the table, performed."""
    subject, permit, now = in_state(state)
    assert subject.state == state
    if (state, event) == ("closed", "failure"):
        for _ in range(FAILURES_TO_OPEN - 1):
            subject.settle(admitted(subject, now), now, event)
    subject.settle(permit, now, event)
    assert subject.state == TABLE[state, event]


def test_the_timer_is_in_the_table() -> None:
    """An open breaker becomes half open by time alone."""
    subject = opened()
    subject.is_ready(6.0)
    assert subject.state == TABLE["open", "timer"]


class BreakerMachine(RuleBasedStateMachine):
    """Calls come, end and are cancelled in any order."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.subject = Breaker(lambda: 0.0, 0.0)
        self.probes: list[Permit] = []

    @rule(target=permits, is_last_resort=st.booleans())
    def call(self, is_last_resort: bool) -> Permit | None:
        was_ready = self.subject.is_ready(self.now)
        permit = self.subject.admit(self.now, is_last_resort=is_last_resort)
        assert (permit is not None) == (was_ready or is_last_resort)
        if permit is not None and permit.is_probe:
            assert self.subject.state == "half_open"
            assert not [each for each in self.probes if not each.is_settled and self.is_current(each)]
            self.probes.append(permit)
        return permit

    @rule(permit=consumes(permits), event=st.sampled_from(["success", "failure", None]))
    def end(self, permit: Permit | None, event: typing.Literal["success", "failure"] | None) -> None:
        if permit is None:
            return
        before, was_current = self.subject.state, self.is_current(permit)
        self.subject.settle(permit, self.now, event)
        assert permit.is_settled
        if not was_current or event is None:
            assert self.subject.state == before
        elif before == "closed" and event == "failure":
            assert self.subject.state in {"closed", "open"}
        else:
            assert self.subject.state == TABLE[before, event]

    @rule(seconds=st.sampled_from([0.1, 2.0, 5.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def block(self) -> None:
        self.subject.block(self.now, 30.0)

    def is_current(self, permit: Permit) -> bool:
        return permit.generation == self.subject._generation

    @invariant()
    def a_probe_is_out_exactly_while_it_is_out(self) -> None:
        """Half open, it is ready again as soon as its probe has come back, on whatever path."""
        ready = self.subject.is_ready(self.now)
        out = [each for each in self.probes if not each.is_settled and self.is_current(each)]
        assert len(out) <= 1
        assert ready == (self.subject.state == "closed" or (self.subject.state == "half_open" and not out))

    @invariant()
    def only_open_ones_know_when_they_return(self) -> None:
        assert (self.subject.reopens_at is not None) == (self.subject.state == "open")


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
