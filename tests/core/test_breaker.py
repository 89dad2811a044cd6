"""The breaker, at literal times and under arbitrary sequences; and the drawing of its table in the documents.

`python tests/core/test_breaker.py --write` draws it anew.
"""

import itertools
import sys
import typing
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from streamroute.core.health.breaker import (
    FAILURES_TO_OPEN,
    FAILURES_TO_RELAPSE,
    LEFT_TO_PROBER_S,
    MAX_OPEN_S,
    OPEN_S,
    PROBES,
    PROOFS_TO_RAMP,
    RAMP_S,
    TABLE,
    Breaker,
    BreakerEvent,
    Permit,
)
from streamroute.core.health.standing import BreakerState

Result = typing.Literal["success", "failure"]
DOCUMENT = Path(__file__).parents[2] / "docs" / "concepts" / "breaker.md"


def breaker(draw: float = 0.5) -> Breaker:
    return Breaker(lambda: draw, 0.0)


def admitted(subject: Breaker, now: float, *, last_resort: bool = False) -> Permit:
    permit = subject.admit(now, is_last_resort=last_resort)
    assert permit is not None
    return permit


def opened(draw: float = 0.5) -> Breaker:
    """Return a breaker that opened at 1.0."""
    subject = breaker(draw)
    for _ in range(FAILURES_TO_OPEN):
        subject.settle(admitted(subject, 1.0), 1.0, "failure")
    return subject


def ramping() -> Breaker:
    """Return a breaker that began to ramp at 3.0, with its three probes still streaming."""
    subject = opened()
    for _ in range(PROOFS_TO_RAMP):
        subject.proved(admitted(subject, 3.0), 3.0)
    return subject


def in_state(state: BreakerState) -> tuple[Breaker, float]:
    match state:
        case "closed":
            return breaker(), 1.0
        case "open":
            return opened(), 2.0
        case "half_open":
            return opened(), 3.0
        case "ramping":
            return ramping(), 3.0


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


def test_the_table_is_complete() -> None:
    """Every state has a row for every event that can reach it; only open and ramping ones have a timer."""
    states, events = typing.get_args(BreakerState), typing.get_args(BreakerEvent)
    assert set(TABLE) == set(itertools.product(states, events)) - {("closed", "timer"), ("half_open", "timer")}


@pytest.mark.parametrize(("state", "event"), list(TABLE))
def test_the_table_is_what_happens(state: BreakerState, event: BreakerEvent) -> None:
    """Each row of the table, performed until its condition holds."""
    subject, now = in_state(state)
    subject.is_ready(now)
    assert subject.state == state
    repeated = {("closed", "failure"): FAILURES_TO_OPEN, ("ramping", "failure"): FAILURES_TO_RELAPSE}
    times = PROOFS_TO_RAMP if state == "half_open" and event in {"success", "proved"} else 1
    for _ in range(repeated.get((state, event), times)):
        match event:
            case "success" | "failure":
                subject.settle(admitted(subject, now, last_resort=True), now, event)
            case "proved":
                subject.proved(admitted(subject, now, last_resort=True), now)
            case "tripped":
                subject.trip(now, "errors")
            case "blocked":
                subject.block(now, 9.0)
            case "timer":
                subject.is_ready(now + RAMP_S)
            case "forced_open":
                subject.force("open", now)
            case "forced_closed":
                subject.force("closed", now)
    assert subject.state == TABLE[state, event]


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


def drawing() -> str:
    """Return the table as a diagram: one arrow for each pair of states, with the events that take it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), after in TABLE.items():
        if before != after:
            arrows.setdefault((before, after), []).append(event)
    lines = [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()]
    return "\n".join(("```mermaid", "stateDiagram-v2", "    [*] --> closed", *lines, "```"))


def with_drawing(document: str) -> str:
    """Return the document with its diagram drawn anew."""
    before, _, rest = document.partition("```mermaid\n")
    return f"{before}{drawing()}{rest.partition('```')[2]}"


def test_the_document_shows_the_table() -> None:
    """The diagram is the table's, as it is now."""
    written = DOCUMENT.read_text()
    assert drawing() in written
    assert written == with_drawing(written), "draw it anew: python tests/core/test_breaker.py --write"


if __name__ == "__main__" and "--write" in sys.argv[1:]:
    DOCUMENT.write_text(with_drawing(DOCUMENT.read_text()))
