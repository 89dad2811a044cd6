"""The calls of one request, and the delivery of its answer, apart from the plan that drives them."""

import math

import pytest

from streamroute.core.execution.calls import Calls, LiveCall
from streamroute.core.execution.commands import Cancel, Command, Commit, Start, Tried
from streamroute.core.execution.delivery import POLL_S, Delivery
from streamroute.core.execution.events import AttemptId
from streamroute.core.execution.rescue import MAX_LEGS, Ladder, RescueOptions
from streamroute.core.health.sketch import LogSketch, RelativeTtft
from streamroute.core.outcome import AttemptCause, Failure, FailureKind
from streamroute.core.routing.decision import Candidate
from streamroute.core.upstream import Deadlines
from tests.support.playbook import candidate

LIMITS = Deadlines(connect_s=20.0, headers_s=25.0, first_token_s=30.0, stall_s=6.0)
SOFT_S = 1.0


def calls_of(
    *, max_attempts: int = 16, stream: bool = True, client_limits: frozenset[FailureKind] = frozenset()
) -> Calls:
    return Calls(LIMITS, stream=stream, max_attempts=max_attempts, client_limits=client_limits)


def known(name: str = "a") -> Candidate:
    """Make a candidate that takes a second to its first token and is never silent for a second."""
    sketch = LogSketch()
    for _ in range(60):
        sketch.add(0.0, 0.0)
    return candidate(name, ttft=RelativeTtft(sketch), stall_soft_s=SOFT_S, continuation="prefill")


def begin(
    calls: Calls, who: Candidate, *, cause: AttemptCause = "first", is_last: bool = False, now: float = 0.0
) -> LiveCall:
    start = calls.start(who, now, cause=cause, is_last=is_last)
    call = calls.of(start.attempt)
    assert call is not None
    return call


# -- calls


def test_calls_are_numbered_and_kept_until_they_end() -> None:
    """Numbers are never used twice; what is over is forgotten."""
    calls = calls_of()
    assert not calls.has_begun
    assert calls.due() == math.inf
    first, second = begin(calls, known()), begin(calls, known("b"), cause="hedge")
    assert (first.attempt, second.attempt, calls.has_begun) == (1, 2, True)
    assert list(calls) == [first, second]
    calls.ended(first)
    calls.ended(first)
    assert first not in calls
    assert calls.of(first.attempt) is None
    assert begin(calls, known()).attempt == 3


def test_a_known_upstream_is_hurried_unless_nothing_better_is_left() -> None:
    """Eight times its usual second; an unknown one, and the last, have all the time that the route gives."""
    calls = calls_of()
    hurried, unknown, last = begin(calls, known()), begin(calls, candidate("b")), begin(calls, known(), is_last=True)
    for call in (hurried, unknown, last):
        call.watchdog.connected(0.1)
        call.watchdog.head_received(0.2)
    assert hurried.watchdog.due == pytest.approx(8.0, rel=0.05)
    assert (unknown.watchdog.due, last.watchdog.due) == (30.0, 30.0)
    assert [call.is_hurried for call in (hurried, unknown, last)] == [True, False, False]
    assert calls.due() == hurried.watchdog.due


def test_attempts_are_bounded_by_the_ones_that_were_made() -> None:
    """Refused ones do not count."""
    calls = calls_of(max_attempts=2)
    begin(calls, known())
    begin(calls, known())
    assert calls.is_exhausted
    calls.not_made()
    assert not calls.is_exhausted


def test_a_probe_answers_for_nobody() -> None:
    """While only probes are under way nobody is asked, and their end is no failure of theirs."""
    calls = calls_of()
    probe = begin(calls, known(), cause="probe")
    assert not calls.is_anyone_asked
    other = begin(calls, known("b"))
    assert calls.is_anyone_asked
    late = Failure(kind="total_timeout", message="x")
    assert calls.cancel_all("lost", late) == [
        Cancel(probe.attempt, "lost", None),
        Cancel(other.attempt, "lost", late),
    ]
    assert list(calls) == []


def test_a_clients_limit_is_marked_as_such() -> None:
    """Missing it says nothing of the upstream."""
    calls = calls_of(client_limits=frozenset({"first_token_timeout"}))
    call = begin(calls, candidate("a"))
    call.watchdog.connected(0.1)
    call.watchdog.head_received(0.2)
    assert calls.late(call, 30.0).is_clients_limit
    call.watchdog.progressed(1.0)
    failure = calls.late(call, 7.5)
    assert (failure.kind, failure.is_clients_limit) == ("stall", False)


def test_patience_is_the_routes() -> None:
    """Where nobody could carry on, an upstream's own measure of silence does not hold."""
    calls = calls_of()
    call = begin(calls, known())
    call.watchdog.progressed(1.0)
    assert call.watchdog.due < 7.0
    calls.be_patient(call)
    assert call.watchdog.due == 7.0


# -- delivery


class Answer:
    """An answer by `a` that has begun at 1 s; `b` and `c` could carry it on."""

    def __init__(self, *, ladder: bool = True, candidates: str = "abc", max_attempts: int = 16) -> None:
        self.calls = calls_of(max_attempts=max_attempts)
        people = [known(name) for name in candidates]
        self.first = begin(self.calls, people[0])
        self.first.watchdog.progressed(1.0)
        self.tried: list[Tried] = []
        made = Ladder(RescueOptions(), people) if ladder else None
        self.delivery = Delivery(self.calls, self.first, made, self.tried)

    def continued(self, commands: object) -> LiveCall:
        assert isinstance(commands, list)
        start = commands[-1]
        assert isinstance(start, Start)
        assert start.cause == "continuation"
        call = self.calls.of(start.attempt)
        assert call is not None
        return call

    def breaks(self, call: LiveCall, kind: FailureKind = "reset", at: float = 2.0) -> list[Command]:
        self.calls.ended(call)
        return list(self.delivery.failed(call, Failure(kind=kind, message="x"), at))


def test_without_a_ladder_there_is_nothing_to_do_but_wait() -> None:
    """It is waited for as long as the route allows, and lost where it breaks off."""
    answer = Answer(ladder=False)
    assert answer.delivery.due() == math.inf
    assert answer.first.watchdog.due == 7.0
    assert answer.delivery.on_due(99.0) == ()
    assert answer.breaks(answer.first) == []
    assert answer.delivery.failure is not None
    assert answer.delivery.failure.kind == "reset"


def test_silence_starts_a_continuation_in_parallel_and_the_first_to_produce_wins() -> None:
    """The silent one is cancelled only then, with what it was: a stall."""
    answer = Answer()
    assert answer.delivery.due() == 1.0 + SOFT_S
    assert answer.delivery.on_due(1.9) == ()
    call = answer.continued(answer.delivery.on_due(2.1))
    assert answer.first in answer.calls
    assert answer.delivery.due() >= 2.1 + POLL_S, "now it is only asked whether it has resumed"
    assert answer.delivery.on_due(2.3) == ()
    commands = answer.delivery.produced(call, 2.5)
    assert [type(each) for each in commands] == [Cancel, Commit]
    assert isinstance(commands[0], Cancel)
    assert commands[0].failure is not None
    assert commands[0].failure.kind == "stall"
    assert answer.delivery.speaker is call
    assert [(each.upstream, each.failure.kind) for each in answer.tried] == [("a", "stall")]


def test_progress_throws_the_continuation_away() -> None:
    """It was built on less than the client has now. A second silence is not doubted but given up."""
    answer = Answer()
    call = answer.continued(answer.delivery.on_due(2.1))
    assert answer.delivery.progressed(answer.first, 1.0) == (), "that is no news"
    assert answer.delivery.progressed(answer.first, 2.2) == [Cancel(call.attempt, "lost", None)]
    commands = answer.delivery.on_due(3.3)
    assert [type(each) for each in commands] == [Cancel, Start]
    assert answer.first not in answer.calls


def test_a_break_tries_rung_after_rung_and_ends_with_the_first_failure() -> None:
    """What the client is told is why the answer broke off, not why the last rescue failed."""
    answer = Answer(candidates="ab")
    commands = answer.breaks(answer.first, "reset")
    kinds: list[FailureKind] = ["seam_mismatch", "server_error", "overloaded", "server_error"]
    for kind in kinds:
        if not commands:
            break
        commands = answer.breaks(answer.continued(commands), kind)
    assert answer.delivery.failure is not None
    assert answer.delivery.failure.kind == "reset"
    assert answer.tried[0].failure.kind == "reset"


@pytest.mark.parametrize("kind", ["content_filtered", "client_error"])
def test_what_must_not_be_carried_on(kind: FailureKind) -> None:
    """Nobody is asked to get around a refusal."""
    answer = Answer()
    assert answer.breaks(answer.first, kind) == []
    assert answer.delivery.failure is not None


def test_what_cannot_be_continued_is_lost_at_once() -> None:
    """The engine has looked at what the client has: no rung will do."""
    answer = Answer()
    call = answer.continued(answer.breaks(answer.first))
    assert answer.breaks(call, "not_continuable") == []
    assert answer.delivery.failure is not None
    assert answer.delivery.failure.kind == "reset"


def test_a_refused_continuation_is_no_attempt() -> None:
    """It is neither counted nor named, and the next rung is tried."""
    answer = Answer(max_attempts=2)
    call = answer.continued(answer.breaks(answer.first))
    following = answer.continued(answer.breaks(call, "blocked"))
    assert following.candidate.upstream.id != call.candidate.upstream.id
    assert [each.failure.kind for each in answer.tried] == ["reset"]


def test_an_answer_has_a_bounded_number_of_parts() -> None:
    """Each pays for the whole prompt again."""
    answer, call = Answer(candidates="abcdefgh"), None
    commands = answer.breaks(answer.first)
    for leg in range(2, MAX_LEGS + 1):
        call = answer.continued(commands)
        call.watchdog.progressed(float(leg))
        answer.delivery.produced(call, float(leg))
        commands = answer.breaks(call)
    assert commands == []
    assert answer.delivery.failure is not None
    assert answer.delivery.due() == math.inf


def test_a_probe_that_ends_or_speaks_changes_nothing() -> None:
    """It has shown what it was to show."""
    answer = Answer()
    probe = begin(answer.calls, known("b"), cause="probe")
    assert answer.delivery.failed(probe, Failure(kind="reset", message="x"), 1.5) == ()
    assert answer.delivery.produced(probe, 1.6) == [Cancel(probe.attempt, "lost", None)]
    assert answer.delivery.speaker is answer.first


def test_nobody_is_judged_while_the_client_does_not_read() -> None:
    """Not the one who speaks, and not the one who has just taken over; from the resumption on again."""
    answer = Answer()
    answer.delivery.paused()
    assert answer.delivery.due() == math.inf
    assert answer.delivery.on_due(50.0) == ()
    call = answer.continued(answer.breaks(answer.first, at=50.0))
    call.watchdog.progressed(51.0)
    answer.delivery.produced(call, 51.0)
    assert answer.delivery.due() == math.inf
    answer.delivery.resumed(60.0)
    assert answer.delivery.due() == 60.0 + SOFT_S


def test_a_silent_stream_that_nobody_can_carry_on_is_waited_for() -> None:
    """Every continuation was refused: then it has the silence that the route allows."""
    answer = Answer(candidates="ab")
    commands = list(answer.delivery.on_due(2.1))
    for _ in range(8):
        if not commands:
            break
        call = answer.continued(commands)
        answer.calls.ended(call)
        commands = list(answer.delivery.failed(call, Failure(kind="blocked", message="x"), 2.2))
    assert answer.delivery.failure is None
    assert answer.first.watchdog.due == 1.0 + LIMITS.stall_s
    assert AttemptId(1) == answer.first.attempt
