"""The breaker under calls that come, begin, end and are cancelled in any order."""

import typing

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from streamroute.core.health.breaker import (
    PROBES,
    TABLE,
    Breaker,
    Permit,
)

Result = typing.Literal["success", "failure"]


class BreakerMachine(RuleBasedStateMachine):
    """Calls come, begin, end and are cancelled in any order."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.subject = Breaker(lambda: 0.0, 0.0)
        self.given: list[Permit] = []

    @rule(target=permits, is_last_resort=st.booleans())
    def call(self, is_last_resort: bool) -> Permit | None:
        was_ready, wanted_probe = self.subject.is_ready(self.now), self.subject.wants_probe(self.now)
        permit = self.subject.admit(self.now, is_last_resort=is_last_resort)
        assert (permit is not None) == (was_ready or (is_last_resort and not self.subject.is_forced))
        if permit is not None:
            assert permit.is_probe == wanted_probe
            self.given.append(permit)
        return permit

    @rule(permit=permits)
    def begin(self, permit: Permit | None) -> None:
        if permit is not None:
            self.subject.proved(permit, self.now)

    @rule(permit=consumes(permits), event=st.sampled_from(["success", "failure", None]))
    def end(self, permit: Permit | None, event: Result | None) -> None:
        if permit is None:
            return
        self.subject.is_ready(self.now)
        before, was_current = self.subject.state, permit.generation == self.subject._generation
        self.subject.settle(permit, self.now, event)
        assert permit.is_settled
        if not was_current or event is None:
            assert self.subject.state == before
        else:
            assert self.subject.state in {before, TABLE[before, event]}

    @rule(seconds=st.sampled_from([0.1, 2.0, 5.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def block(self) -> None:
        self.subject.block(self.now, 30.0)

    @rule()
    def trip(self) -> None:
        self.subject.trip(self.now, "errors")

    @rule(state=st.sampled_from(["open", "closed"]))
    def force(self, state: typing.Literal["open", "closed"]) -> None:
        self.subject.force(state, self.now)

    @invariant()
    def permits_are_conserved(self) -> None:
        """What the breaker counts is what is out, on whatever path the rest came back."""
        out = [each for each in self.given if not each.is_settled and each.generation == self.subject._generation]
        probes = sum(each.is_probe and not each.is_proved for each in out)
        assert (self.subject._in_flight, self.subject._probes) == (len(out), probes)
        assert probes <= max(PROBES)

    @invariant()
    def only_open_ones_know_when_they_return(self) -> None:
        is_due = self.subject.state == "open" and not self.subject.is_forced
        assert (self.subject.reopens_at is not None) == is_due


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
