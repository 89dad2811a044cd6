"""What holds for plans whatever happens, in whatever order: one call at a time, or with calls beside the first."""

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
    Doubted,
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
from streamroute.core.upstream import Deadlines, RetryOptions, UpstreamId
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
    lambda attempt, now, failure: Doubted(UpstreamId("abcd"[attempt % 4])),
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


# -- with calls beside the first

beside_plans = st.builds(
    lambda names, is_probing, hedge_after_s, race_width, max_attempts: Failover(
        FailoverOptions(
            candidates=tuple(candidate(name) for name in names),
            stream=True,
            arrived_at=0.0,
            deadlines=Deadlines(total_s=30.0),
            max_attempts=max_attempts,
            hedge_after_s=hedge_after_s,
            race_width=race_width,
            probe=candidate("p", standing=Standing(breaker="half_open", is_probe=True)) if is_probing else None,
        )
    ),
    st.sampled_from(["a", "ab", "abcd"]),
    st.booleans(),
    st.sampled_from([None, 0.3, 1.0]),
    st.integers(1, 3),
    st.integers(1, 8),
)
wheres = st.lists(
    st.tuples(
        st.sampled_from(["time", "produce", "succeed", "fail", "fail", "doubt", "doubt", "leave"]),
        st.sampled_from([0.0, 0.1, 0.3, 2.0]),
        st.integers(0, 7),
        failures,
    ),
    max_size=25,
)


class Bookkeeper:
    """Keeps the calls of one plan that are under way."""

    def __init__(self) -> None:
        self.live: dict[AttemptId, Start] = {}
        self.committed: AttemptId | None = None
        self.is_over = False
        self.hedges = 0

    def check(self, commands: typing.Sequence[object]) -> None:
        for command in commands:
            assert not self.is_over, "a command after a terminal one"
            match command:
                case Start(attempt=attempt):
                    busy = [each.upstream.failure_domain for each in self.live.values() if each.cause != "probe"]
                    if command.cause in {"hedge", "race"}:
                        assert command.upstream.failure_domain not in busy, "what fails together is no backup"
                    assert self.committed is None
                    self.live[attempt] = command
                    self.hedges += command.cause == "hedge"
                case Cancel(attempt=attempt):
                    del self.live[attempt]
                case Commit(attempt=attempt):
                    assert attempt in self.live
                    assert self.committed is None, "two commits"
                    self.committed = attempt
                case Finish(attempt=attempt):
                    assert attempt == self.committed
                    assert not self.live, "a call is left behind"
                    self.is_over = True
                case Fail() | Abandon():
                    assert not self.live, "a call is left behind"
                    self.is_over = True
                case _:
                    raise AssertionError(command)
        own = [each for each in self.live.values() if each.cause in {"first", "failover"}]
        assert len(own) <= 1, "two calls that are not beside another"


@settings(deadline=None, max_examples=300)
@given(plan=beside_plans, script=wheres)
def test_whatever_happens_beside(plan: Failover, script: list[tuple[str, float, int, Failure]]) -> None:
    """One commit, one end, nobody is left behind; what is beside the first call is in another failure domain."""
    books, now = Bookkeeper(), 0.0
    books.check(plan.start(now))
    for what, wait_s, which, failure in script:
        now += wait_s
        live = sorted(books.live)
        attempt = live[which % len(live)] if live else AttemptId(99)
        match what:
            case "time":
                due = plan.next_deadline()
                now = max(now, due) if due is not None else now
                books.check(plan.on_deadline(now))
            case "produce":
                books.check(plan.handle(Produced(attempt), now))
            case "succeed":
                commands = plan.handle(Succeeded(attempt), now)
                if commands and isinstance(commands[0], Commit):
                    books.check(commands[:1])
                    commands = commands[1:]
                books.live.pop(attempt, None)
                books.check(commands)
            case "fail":
                books.live.pop(attempt, None)
                books.check(plan.handle(Failed(attempt, failure), now))
            case "doubt":
                before = books.hedges
                books.check(plan.handle(Doubted(UpstreamId("abcdp"[which % 5])), now))
                assert books.hedges <= before + (plan.hedge_after_s is not None)
            case _:
                books.check(plan.handle(ClientGone(), now))
        assert (plan.next_deadline() is None) == books.is_over
