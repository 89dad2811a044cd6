"""What holds for the `failover` plan whatever happens, in whatever order."""

import typing

from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.core.execution.commands import Abandon, Cancel, Commit, Fail, Finish, Start
from streamroute.core.execution.events import (
    AttemptEvent,
    AttemptId,
    ClientGone,
    ClientPaused,
    ClientResumed,
    Connected,
    Failed,
    HeadReceived,
    Produced,
    Progressed,
    ShutDown,
    Succeeded,
)
from streamroute.core.execution.failover import STALE_RETRIES, Failover, FailoverOptions
from streamroute.core.health.standing import Standing
from streamroute.core.outcome import Failure, FailureKind
from streamroute.core.upstream import Deadlines, RetryOptions
from tests.support.playbook import candidate

kinds = st.sampled_from(typing.get_args(FailureKind))
seconds = st.sampled_from([0.0, 0.01, 0.25, 0.5, 1.0, 3.0, 20.0])
standings = st.sampled_from(
    [
        Standing(),
        Standing(),
        Standing(breaker="open", can_ask=False, until=2.0),
        Standing(breaker="open", can_ask=False),
        Standing(kind="rate_limited", can_ask=False, until=1.0),
    ]
)
plans = st.builds(
    lambda rows, stream, retry, total_s, max_attempts, jitter: Failover(
        FailoverOptions(
            candidates=tuple(
                candidate(name, standing=standing, domain=domain, context_tokens=context)
                for name, (standing, domain, context) in zip("abcd", rows, strict=False)
            ),
            stream=stream,
            arrived_at=0.0,
            deadlines=Deadlines(total_s=total_s),
            retry=retry,
            max_attempts=max_attempts,
            jitter=jitter,
        )
    ),
    st.lists(st.tuples(standings, st.sampled_from("xy"), st.sampled_from([None, 10, 20])), max_size=4),
    st.booleans(),
    st.builds(RetryOptions, same_upstream=st.integers(0, 5), wait_for_preferred_s=seconds, backoff_s=seconds),
    st.sampled_from([0.5, 5.0, 300.0]),
    st.integers(1, 6),
    st.sampled_from([(0.0,), (0.5,), (0.9, 0.1)]),
)
MAKERS: list[typing.Callable[[AttemptId, float, Failure], AttemptEvent]] = [
    lambda attempt, now, failure: Connected(attempt),
    lambda attempt, now, failure: HeadReceived(attempt),
    lambda attempt, now, failure: Produced(attempt),
    lambda attempt, now, failure: Progressed(attempt, now),
    lambda attempt, now, failure: Progressed(attempt, now / 2),
    lambda attempt, now, failure: Succeeded(attempt),
    lambda attempt, now, failure: Failed(attempt, failure),
    lambda attempt, now, failure: Failed(attempt, failure),
    lambda attempt, now, failure: Failed(attempt, failure),
    lambda attempt, now, failure: ClientPaused(),
    lambda attempt, now, failure: ClientResumed(),
    lambda attempt, now, failure: ClientGone(),
    lambda attempt, now, failure: ShutDown(),
]
failures = st.builds(
    lambda kind, wait_s: Failure(kind=kind, message="x", retry_after_s=wait_s), kinds, st.none() | seconds
)
steps = st.lists(
    st.tuples(
        st.sampled_from(["event", "event", "event", "time"]),
        st.sampled_from([0.0, 0.0, 0.001, 0.3, 1.0, 12.0]),
        st.integers(0, len(MAKERS) - 1),
        st.integers(-1, 1),
        failures,
    ),
    max_size=30,
)


class Auditor:
    """Watches the commands of one plan, and objects."""

    def __init__(self, max_attempts: int) -> None:
        self.max_attempts = max_attempts
        self.latest = 0
        self.is_live = False
        self.is_committed = False
        self.is_over = False

    def check(self, commands: typing.Sequence[object]) -> None:
        for command in commands:
            assert not self.is_over, "a command after a terminal one"
            match command:
                case Start(attempt=attempt):
                    assert not self.is_committed, "a new attempt after commit"
                    assert not self.is_live, "two attempts at once"
                    assert attempt == self.latest + 1 <= self.max_attempts
                    self.latest, self.is_live = attempt, True
                case Cancel(attempt=attempt):
                    assert self.is_live
                    assert attempt == self.latest
                    self.is_live = False
                case Commit(attempt=attempt):
                    assert self.is_live
                    assert attempt == self.latest
                    assert not self.is_committed, "two commits"
                    self.is_committed = True
                case Finish(attempt=attempt):
                    assert self.is_committed
                    assert attempt == self.latest
                    self.is_over = True
                case Fail() | Abandon():
                    assert not self.is_live, "an attempt is left behind"
                    self.is_over = True
                case _:
                    raise AssertionError(command)


@settings(deadline=None, max_examples=300)
@given(plan=plans, script=steps)
def test_whatever_happens(plan: Failover, script: list[tuple[str, float, int, int, Failure]]) -> None:
    """One terminal command, none after it; one attempt at a time, none after commit, never more than the bound.

    And a deadline that was answered is not due again: a runner must not spin.
    """
    auditor = Auditor(plan._options.max_attempts + STALE_RETRIES * len(plan._options.candidates))
    now = 0.0
    auditor.check(plan.start(now))
    for what, wait_s, which, offset, failure in script:
        now += wait_s
        if what == "time":
            due = plan.next_deadline()
            if due is not None and due != float("inf"):
                now = max(now, due)
            auditor.check(plan.on_deadline(now))
            due = plan.next_deadline()
            assert due is None or due >= now
        else:
            event = MAKERS[which](AttemptId(auditor.latest + offset), now, failure)
            if isinstance(event, Succeeded | Failed) and event.attempt == auditor.latest and not auditor.is_over:
                auditor.is_live = isinstance(event, Succeeded) and auditor.is_live
            auditor.check(plan.handle(event, now))
        assert (plan.next_deadline() is None) == auditor.is_over


@settings(deadline=None, max_examples=100)
@given(plan=plans, answers=st.lists(failures, max_size=12))
def test_it_always_ends(plan: Failover, answers: list[Failure]) -> None:
    """When every attempt fails or nothing ever happens, there is an end, and by the total deadline at the latest."""
    auditor = Auditor(plan._options.max_attempts + STALE_RETRIES * len(plan._options.candidates))
    now = 0.0
    auditor.check(plan.start(now))
    for failure in answers:
        if auditor.is_live:
            auditor.is_live = False
            auditor.check(plan.handle(Failed(AttemptId(auditor.latest), failure), now))
    for _ in range(40):
        due = plan.next_deadline()
        if due is None:
            break
        now = max(now, due)
        auditor.check(plan.on_deadline(now))
    assert auditor.is_over
    assert now <= plan._options.deadlines.total_s
