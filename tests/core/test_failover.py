"""The `failover` plan, as scripts: what it is told at literal times, and what it must answer."""

import typing

import pytest

from streamroute.core.execution.commands import Fail
from streamroute.core.execution.events import (
    AttemptId,
    ClientGone,
    ClientPaused,
    Connected,
    HeadReceived,
    Produced,
    Progressed,
    ShutDown,
    Succeeded,
)
from streamroute.core.health.classify import DISPOSITIONS
from streamroute.core.health.standing import Standing
from streamroute.core.outcome import NOT_ASKED, FailureKind
from streamroute.core.upstream import Deadlines, RetryOptions
from tests.support.playbook import (
    ABANDON,
    Playbook,
    cancel,
    candidate,
    commit,
    fail,
    failed,
    failover,
    finish,
    start,
)

ONE, TWO, THREE = AttemptId(1), AttemptId(2), AttemptId(3)
OPEN = Standing(breaker="open", can_ask=False, until=50.0)
KINDS: tuple[FailureKind, ...] = typing.get_args(FailureKind)
MARGIN_S = 0.005


def two() -> Playbook:
    return failover(candidate("a"), candidate("b"))


def lone(**options: typing.Any) -> Playbook:
    return failover(candidate("a"), **options)


def the_failure(book: Playbook) -> Fail:
    last = book.commands[-1]
    assert isinstance(last, Fail)
    return last


def test_an_answer_that_goes_well() -> None:
    """One upstream is asked, its first content commits, its end finishes."""
    book = two()
    book.start() << start(1, "a")
    book.tell(Connected(ONE), at=0.1)
    book.tell(HeadReceived(ONE), at=0.2)
    book.tell(Produced(ONE), at=0.3) << commit(1)
    book.tell(Progressed(ONE, 0.4), at=0.5)
    book.tell(Succeeded(ONE), at=0.6) << finish(1)
    book.over()


def test_an_answer_at_once() -> None:
    """What ends before it has committed commits and finishes in one step: that is how whole answers arrive."""
    book = two()
    book.start() << start(1, "a")
    book.tell(Succeeded(ONE), at=0.3) << commit(1) << finish(1)
    book.over()


@pytest.mark.parametrize("kind", KINDS)
def test_each_failure_before_commit_does_what_the_table_says(kind: FailureKind) -> None:
    """Another upstream, the client's own error once, or the end: `classify` decides, and nothing else."""
    book = two()
    book.start() << start(1, "a")
    book.tell(failed(1, kind), at=0.1)
    if kind == "stale_connection":
        book << start(2, "a")
    elif DISPOSITIONS[kind].next_step in {"return", "stop"}:
        book << fail(kind, "a")
        book.over()
    else:
        book << start(2, "b")
    book.end()


@pytest.mark.parametrize("kind", KINDS)
def test_each_failure_after_commit_ends_in_an_error(kind: FailureKind) -> None:
    """Once the client has read content no other upstream can replace it: the truth is told."""
    book = two()
    book.start() << start(1, "a")
    book.tell(Produced(ONE), at=0.1) << commit(1)
    book.tell(failed(1, kind), at=0.2)
    assert the_failure(book).failure.kind == kind
    book << fail(kind, "a")
    book.over()


def test_all_are_tried_and_named() -> None:
    """The error that ends it is the last one, and each attempt stands in it."""
    book = failover(candidate("a"), candidate("b"), candidate("c"))
    book.start() << start(1, "a")
    book.tell(failed(1, "server_error"), at=0.1) << start(2, "b")
    book.tell(failed(2, "rate_limited", retry_after_s=9.0), at=0.2) << start(3, "c")
    book.tell(failed(3, "empty"), at=0.3) << fail("empty", "a", "b", "c")
    book.over()


def test_another_failure_domain_first() -> None:
    """Who shares a domain with one that failed is asked after those who do not."""
    book = failover(candidate("a", domain="x"), candidate("b", domain="x"), candidate("c", domain="y"))
    book.start() << start(1, "a")
    book.tell(failed(1, "server_error"), at=0.1) << start(2, "c")
    book.tell(failed(2, "server_error"), at=0.2) << start(3, "b")
    book.end()


def test_open_breakers_are_a_last_resort() -> None:
    """Ready ones are asked first, whatever the preference; then the blocked ones, as what they are."""
    book = failover(candidate("a", standing=OPEN), candidate("b"))
    book.start() << start(1, "b")
    book.tell(failed(1, "server_error"), at=0.1) << start(2, "a", last_resort=True)
    book.tell(failed(2, "server_error"), at=0.2) << fail("server_error", "b", "a")
    book.over()


def test_a_lone_last_resort_is_not_hammered() -> None:
    """An upstream with an open breaker is asked once; back-off is for those that were well."""
    book = lone_open()
    book.start() << start(1, "a", last_resort=True)
    book.tell(failed(1, "server_error"), at=0.1) << fail("server_error", "a")
    book.over()


def lone_open() -> Playbook:
    return failover(candidate("a", standing=OPEN))


def test_credentials_that_must_wait_are_not_asked() -> None:
    """With nobody else the client learns how long the shortest wait is."""
    book = failover(
        candidate("a", standing=Standing(kind="rate_limited", can_ask=False, until=30.0)),
        candidate("b", standing=Standing(kind="rate_limited", can_ask=False, until=12.0)),
    )
    book.start(at=2.0) << fail("rate_limited")
    assert the_failure(book).failure.retry_after_s == pytest.approx(10.0)
    book.over()


def test_rate_limited_upstreams_are_passed_over() -> None:
    """A credential that must wait is skipped, also as a last resort."""
    book = failover(candidate("a", standing=Standing(kind="rate_limited", can_ask=False, until=30.0)), candidate("b"))
    book.start() << start(1, "b")
    book.tell(failed(1, "server_error"), at=0.1) << fail("server_error", "b")
    book.over()


def test_nobody_to_ask() -> None:
    """Without candidates there is an error, not a wait."""
    failover().start() << fail("blocked")


def test_stale_connections_cost_nothing() -> None:
    """Twice the same upstream is asked at once, unnamed in errors; a third time is a failure like any other."""
    book = two()
    book.start() << start(1, "a")
    book.tell(failed(1, "stale_connection"), at=0.1) << start(2, "a")
    book.tell(failed(2, "stale_connection"), at=0.2) << start(3, "a")
    book.tell(failed(3, "stale_connection"), at=0.3) << start(4, "b")
    book.tell(failed(4, "client_error"), at=0.4) << fail("client_error", "a", "b")
    book.over()


def test_a_lone_upstream_gets_two_more_attempts_with_back_off() -> None:
    """0.25 s, then 0.5 s, each x 0.75..1.25 by the given draws; then the error."""
    book = lone(jitter=(0.0, 0.9999))
    book.start() << start(1, "a")
    book.tell(failed(1, "server_error"), at=1.0)
    book.sleep(until=1.0 + 0.25 * 0.75)
    book.wake(at=1.0 + 0.25 * 0.75) << start(2, "a")
    book.tell(failed(2, "reset"), at=2.0)
    book.sleep(until=2.62)
    book.wake(at=2.625) << start(3, "a")
    book.tell(failed(3, "server_error"), at=3.0) << fail("server_error", "a", "a", "a")
    book.over()


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if not DISPOSITIONS[kind].is_transient and kind not in NOT_ASKED]
)
def test_a_lone_upstream_is_not_asked_again_in_vain(kind: FailureKind) -> None:
    """What will not pass by itself is told at once."""
    book = lone()
    book.start() << start(1, "a")
    book.tell(failed(1, kind), at=0.1) << fail(kind, "a")
    book.over()


@pytest.mark.parametrize(("retry_after_s", "wait_s"), [(0.0, 0.25), (1.0, 1.0 + MARGIN_S), (2.0, 2.0 + MARGIN_S)])
def test_retry_after_lengthens_a_back_off(retry_after_s: float, wait_s: float) -> None:
    """The provider's wish is honoured where it is longer than ours, with a margin for early timers."""
    book = lone()
    book.start() << start(1, "a")
    book.tell(failed(1, "overloaded", retry_after_s=retry_after_s), at=1.0)
    book.sleep(until=1.0 + wait_s)
    book.wake(at=1.0 + wait_s) << start(2, "a")
    book.end()


def test_a_long_retry_after_is_passed_on() -> None:
    """Nobody is kept waiting for longer than a back-off may last: the client is told."""
    book = lone()
    book.start() << start(1, "a")
    book.tell(failed(1, "overloaded", retry_after_s=30.0), at=1.0) << fail("overloaded", "a")
    assert the_failure(book).failure.retry_after_s == 30.0
    book.over()


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.9999])
def test_chance_does_not_decide_whether_to_wait(draw: float) -> None:
    """Jitter moves a retry by a quarter and never takes it away."""
    retry = RetryOptions(same_upstream=1, backoff_s=2.0)
    book = failover(candidate("a"), candidate("b"), retry=retry, jitter=(draw,))
    book.start() << start(1, "a")
    book.tell(failed(1, "server_error", retry_after_s=0.0), at=0.0)
    wait_s = 2.0 * (0.75 + 0.5 * draw)
    book.wake(at=wait_s) << start(2, "a")
    book.end()


def test_no_back_off_past_the_total_deadline() -> None:
    """A retry that could not start in time is not waited for."""
    book = lone(deadlines=Deadlines(total_s=1.1))
    book.start() << start(1, "a")
    book.tell(failed(1, "server_error"), at=1.0) << fail("server_error", "a")
    book.over()


def test_same_upstream_as_often_as_the_route_says() -> None:
    """`same_upstream = 1`: once more, after a back-off, before the next one is asked."""
    book = failover(candidate("a"), candidate("b"), retry=RetryOptions(same_upstream=1))
    book.start() << start(1, "a")
    book.tell(failed(1, "server_error"), at=0.0)
    book.wake(at=0.25) << start(2, "a")
    book.tell(failed(2, "server_error"), at=1.0) << start(3, "b")
    book.tell(failed(3, "server_error"), at=2.0)
    book.wake(at=2.5) << start(4, "b")
    book.tell(failed(4, "server_error"), at=3.0) << fail("server_error", "a", "a", "b", "b")
    book.over()


def test_same_upstream_only_for_what_passes() -> None:
    """A timeout was long enough: it is not repeated on the same upstream."""
    book = failover(candidate("a"), candidate("b"), retry=RetryOptions(same_upstream=3))
    book.start() << start(1, "a")
    book.tell(failed(1, "first_token_timeout"), at=0.1) << start(2, "b")
    book.end()


def test_waiting_for_the_preferred_upstream() -> None:
    """`wait_for_preferred_s`: a 429 that passes in time is waited for, its backup is not asked."""
    book = failover(candidate("a"), candidate("b"), retry=RetryOptions(wait_for_preferred_s=3.0))
    book.start() << start(1, "a")
    book.tell(failed(1, "rate_limited", retry_after_s=1.0), at=0.5)
    book.sleep(until=1.505)
    book.wake(at=1.505) << start(2, "a")
    book.tell(failed(2, "rate_limited", retry_after_s=2.0), at=1.6) << start(3, "b")
    book.tell(failed(3, "rate_limited", retry_after_s=0.1), at=1.7) << fail("rate_limited", "a", "a", "b")
    book.over()


def test_waiting_from_the_start() -> None:
    """A preferred upstream that may be asked soon is waited for, then asked, its backup still there."""
    resting = Standing(kind="rate_limited", can_ask=False, until=2.0)
    book = failover(candidate("a", standing=resting), candidate("b"), retry=RetryOptions(wait_for_preferred_s=3.0))
    book.start(at=0.1)
    book.sleep(until=2.0 + MARGIN_S)
    book.wake(at=2.0 + MARGIN_S) << start(1, "a")
    book.tell(failed(1, "blocked"), at=2.1) << start(2, "b")
    book.end()


def test_not_waiting_for_too_long() -> None:
    """Past `wait_for_preferred_s` a backup that is well is asked at once."""
    resting = Standing(kind="rate_limited", can_ask=False, until=4.0)
    book = failover(candidate("a", standing=resting), candidate("b"), retry=RetryOptions(wait_for_preferred_s=3.0))
    book.start() << start(1, "b")
    book.end()


def test_leaving_while_waiting() -> None:
    """Nobody listens any more: the wait ends without a call."""
    book = lone()
    book.start() << start(1, "a")
    book.tell(failed(1, "server_error"), at=0.0)
    book.tell(ClientGone(), at=0.1) << ABANDON
    book.over()


@pytest.mark.parametrize("kind", ["server_error", "context_length_exceeded", "rate_limited"])
def test_max_attempts(kind: FailureKind) -> None:
    """No kind of failure gets around the bound."""
    book = failover(candidate("a"), candidate("b"), candidate("c"), max_attempts=2)
    book.start() << start(1, "a")
    book.tell(failed(1, kind), at=0.1) << start(2, "b")
    book.tell(failed(2, kind), at=0.2) << fail(kind, "a", "b")


@pytest.mark.parametrize(
    ("failing", "others", "asked"),
    [
        (8192, {"b": 8192, "c": 4096, "d": 32768}, "d"),
        (8192, {"b": None}, "b"),
        (None, {"b": 4096}, "b"),
        (8192, {"b": 8192}, None),
        (8192, {}, None),
    ],
)
def test_context_that_is_too_small(failing: int | None, others: dict[str, int | None], asked: str | None) -> None:
    """Only an upstream whose context is larger or unknown is asked, never the same one again."""
    rest = [candidate(name, context_tokens=size) for name, size in others.items()]
    book = failover(candidate("a", context_tokens=failing), *rest)
    book.start() << start(1, "a")
    book.tell(failed(1, "context_length_exceeded"), at=0.1)
    book << (fail("context_length_exceeded", "a") if asked is None else start(2, asked))
    book.end()


@pytest.mark.parametrize("is_committed", [True, False])
def test_the_client_leaves(is_committed: bool) -> None:
    """The attempt is ended at once, as unwanted and not as failed."""
    book = two()
    book.start() << start(1, "a")
    if is_committed:
        book.tell(Produced(ONE), at=0.1) << commit(1)
    book.tell(ClientGone(), at=0.2) << cancel(1, "client_gone") << ABANDON
    book.over()


@pytest.mark.parametrize("is_committed", [True, False])
def test_the_process_stops(is_committed: bool) -> None:
    """The client is told, with what was tried; the attempt is no failure of its upstream."""
    book = two()
    book.start() << start(1, "a")
    book.tell(failed(1, "reset"), at=0.1) << start(2, "b")
    if is_committed:
        book.tell(Produced(TWO), at=0.1) << commit(2)
    book.tell(ShutDown(), at=0.2) << cancel(2, "shutting_down") << fail("shutting_down", "a")
    book.over()


def test_nothing_after_the_end() -> None:
    """After a terminal command every event is ignored."""
    book = two()
    book.start() << start(1, "a")
    book.tell(Succeeded(ONE), at=0.1) << commit(1) << finish(1)
    for event in (Succeeded(ONE), failed(1, "reset"), ClientGone(), ShutDown(), Produced(ONE), ClientPaused()):
        book.tell(event, at=0.2)
    book.over()


def test_events_of_attempts_that_are_over() -> None:
    """A loser's last words change nothing."""
    book = two()
    book.start() << start(1, "a")
    book.tell(failed(1, "reset"), at=0.1) << start(2, "b")
    for event in (
        Produced(ONE),
        Succeeded(ONE),
        failed(1, "reset"),
        Connected(ONE),
        Progressed(ONE, 0.2),
        Produced(THREE),
    ):
        book.tell(event, at=0.2)
    book.tell(Produced(TWO), at=0.3) << commit(2)
    book.end()


def test_woken_too_early() -> None:
    """A timer that fires before its time is harmless."""
    book = two()
    book.start() << start(1, "a")
    assert not book.plan.on_deadline(0.0)
    assert book.plan.next_deadline() == Deadlines().connect_s


def test_a_breaker_that_opened_meanwhile() -> None:
    """An upstream whose permit is refused is not lost: the others first, then this one as the last resort."""
    book = failover(candidate("a"), candidate("b"))
    book.start() << start(1, "a")
    book.tell(failed(1, "blocked"), at=0.1) << start(2, "b")
    book.tell(failed(2, "server_error"), at=0.2) << start(3, "a", last_resort=True)
    book.tell(failed(3, "blocked"), at=0.3)
    book << fail("blocked", "b", "a")
    book.over()
