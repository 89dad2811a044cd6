"""Answers that break off after their first token, as scripts: who carries on, by which rung, and when nobody does."""

import typing

import pytest

from streamroute.core.execution.delivery import POLL_S
from streamroute.core.execution.events import (
    AttemptId,
    ClientPaused,
    ClientResumed,
    Connected,
    HeadReceived,
    Produced,
    Progressed,
    Succeeded,
)
from streamroute.core.execution.rescue import MAX_LEGS, RescueOptions
from streamroute.core.health.standing import Standing
from streamroute.core.outcome import FailureKind
from streamroute.core.routing.decision import Candidate
from tests.support.playbook import Playbook, cancel, candidate, carry_on, commit, fail, failed, failover, finish, start

ONE, TWO, THREE, FOUR = (AttemptId(i) for i in (1, 2, 3, 4))


def flowing(*candidates: Candidate, rescue: RescueOptions | None = None, **more: typing.Any) -> Playbook:
    """Return a plan whose first upstream has begun to answer at 0.5 s."""
    people = candidates or (candidate("a"), candidate("b", continuation="prefill"), candidate("c"))
    book = failover(*people, rescue=rescue or RescueOptions(), **more)
    book.start() << start(1, people[0].upstream.id)
    book.tell(Produced(ONE), at=0.5) << commit(1)
    return book


def test_another_upstream_carries_on() -> None:
    """The answer breaks off; the continuation's first text is committed, its end finishes."""
    book = flowing()
    book.tell(failed(1, "reset"), at=1.0) << carry_on(2, "b", "prefill")
    book.tell(Produced(TWO), at=1.4) << commit(2)
    book.tell(Succeeded(TWO), at=2.0) << finish(2)


@pytest.mark.parametrize("kind", ["reset", "truncated", "server_error", "overloaded", "malformed", "rate_limited"])
def test_every_way_of_breaking_off(kind: FailureKind) -> None:
    """Whatever the upstream did, the answer goes on."""
    flowing().tell(failed(1, kind), at=1.0) << carry_on(2, "b", "prefill")


@pytest.mark.parametrize("kind", ["content_filtered", "client_error"])
def test_what_is_not_carried_on(kind: FailureKind) -> None:
    """A filter has spoken, or the client is at fault: no other model is asked to get around it."""
    flowing().tell(failed(1, kind), at=1.0) << fail(kind, "a")


@pytest.mark.parametrize(
    "standing", [Standing(can_ask=False, is_probe=True), Standing(breaker="open", can_ask=False, until=99.0)]
)
def test_who_could_not_be_asked_at_the_decision_may_carry_on(standing: Standing) -> None:
    """A decision is as old as the answer that breaks off: whether an upstream can be asked now is for the board to
    say. One that was ready then comes first."""
    book = flowing(candidate("a"), candidate("b", standing=standing, continuation="prefill"), candidate("c"))
    book.tell(failed(1, "reset"), at=9.0) << carry_on(2, "c", "instructed")
    book.tell(failed(2, "reset"), at=9.1) << carry_on(3, "b", "prefill")


def test_refusals_use_up_no_calls() -> None:
    """However many upstreams the board refuses, those that it does not are still asked."""
    closed = [candidate(name, standing=Standing(breaker="open", can_ask=False)) for name in "bcdefghijk"]
    book = flowing(candidate("a"), *closed)
    book.tell(failed(1, "reset"), at=9.0)
    for attempt, who in enumerate(closed, start=2):
        book << carry_on(attempt, who.upstream.id, "instructed")
        book.tell(failed(attempt, "blocked"), at=9.0)
    book << carry_on(len(closed) + 2, "a", "instructed")


def test_native_comes_before_instructed_and_the_broken_one_last() -> None:
    """The ladder: native ways of the others, words to the others, then the upstream that broke off, then an error."""
    book = flowing(candidate("a", continuation="prefix"), candidate("b"), candidate("c", continuation="prefill"))
    book.tell(failed(1, "reset"), at=1.0) << carry_on(2, "c", "prefill")
    book.tell(failed(2, "client_error"), at=1.1) << carry_on(3, "b", "instructed")
    book.tell(failed(3, "seam_mismatch"), at=1.2) << carry_on(4, "c", "instructed")
    book.tell(failed(4, "reset"), at=1.3) << carry_on(5, "a", "prefix")
    book.tell(failed(5, "reset"), at=1.4) << carry_on(6, "a", "instructed")
    book.tell(failed(6, "reset"), at=1.5) << fail("reset", "a", "c", "b", "c", "a", "a")


def test_a_lone_upstream_carries_on_itself() -> None:
    """A cut is not the end of an upstream."""
    book = flowing(candidate("a"))
    book.tell(failed(1, "reset"), at=1.0) << carry_on(2, "a", "instructed")


def test_none_means_none() -> None:
    """An upstream that is declared unable is not asked to carry on."""
    book = flowing(candidate("a", continuation="none"), candidate("b", continuation="none"))
    book.tell(failed(1, "reset"), at=1.0) << fail("reset", "a")


def test_what_the_client_has_cannot_be_carried_on() -> None:
    """The engine says so once; no further rung is tried."""
    book = flowing()
    book.tell(failed(1, "reset"), at=1.0) << carry_on(2, "b", "prefill")
    book.tell(failed(2, "not_continuable"), at=1.0) << fail("reset", "a")


def test_what_cannot_be_carried_on_can_begin_anew() -> None:
    """That the text cannot be joined to says nothing against a restart, which joins nothing."""
    book = flowing(rescue=RescueOptions(midstream="restart"))
    book.tell(failed(1, "reset"), at=1.0) << carry_on(2, "b", "prefill")
    book.tell(failed(2, "not_continuable"), at=1.0) << carry_on(3, "b", "restart")


def test_a_restart_is_for_clients_that_asked() -> None:
    """With `restart` the answer begins anew once nobody could carry it on; with `error` nothing is tried."""
    book = flowing(candidate("a"), candidate("b"), rescue=RescueOptions(midstream="restart", is_continuable=False))
    book.tell(failed(1, "reset"), at=1.0) << carry_on(2, "b", "restart")
    book = flowing(rescue=RescueOptions(midstream="error"))
    book.tell(failed(1, "reset"), at=1.0) << fail("reset", "a")


def test_a_continuation_can_break_off_too() -> None:
    """The next one carries on from there, up to a number of legs; one that has not broken off goes first."""
    book = flowing(candidate("a"), candidate("b"), candidate("c"))
    for leg, who in ((2, "b"), (3, "c"), (4, "a")):
        book.tell(failed(leg - 1, "reset"), at=float(leg)) << carry_on(leg, who, "instructed")
        book.tell(Produced(AttemptId(leg)), at=leg + 0.5) << commit(leg)
    assert leg == MAX_LEGS
    book.tell(failed(MAX_LEGS, "reset"), at=9.0) << fail("reset", "a", "b", "c", "a")


def stalling() -> Playbook:
    """Return a plan whose stream is silent since 1.0 s; 0.6 s are unlike its upstream."""
    book = flowing(candidate("a", stall_soft_s=0.6), candidate("b", continuation="prefill"))
    book.tell(Progressed(ONE, 1.0), at=1.0)
    assert book.plan.next_deadline() == pytest.approx(1.6)
    return book


def test_a_silent_stream_is_carried_on_in_parallel() -> None:
    """The continuation starts while we still listen; when it produces first, the silent one is given up as stalled."""
    book = stalling()
    book.wake(at=1.6) << carry_on(2, "b", "prefill")
    book.tell(Produced(TWO), at=1.9) << cancel(1, "stall") << commit(2)
    book.tell(Succeeded(TWO), at=3.0) << finish(2)


def test_a_silent_stream_that_resumes_wins() -> None:
    """What the continuation was built on is out of date: it is thrown away."""
    book = stalling()
    book.wake(at=1.6) << carry_on(2, "b", "prefill")
    assert book.plan.next_deadline() == pytest.approx(1.6 + POLL_S)
    book.tell(Progressed(ONE, 1.65), at=1.7) << cancel(2, "lost")
    book.tell(Succeeded(ONE), at=2.0) << finish(1)


def test_a_stream_that_falls_silent_again_is_given_up() -> None:
    """Continuations are not thrown away for ever."""
    book = stalling()
    book.wake(at=1.6) << carry_on(2, "b", "prefill")
    book.tell(Progressed(ONE, 1.65), at=1.7) << cancel(2, "lost")
    book.wake(at=2.25) << cancel(1, "stall") << carry_on(3, "b", "prefill")
    book.tell(Produced(THREE), at=2.5) << commit(3)


def test_a_silent_stream_may_end_well() -> None:
    """Its end cancels the continuation."""
    book = stalling()
    book.wake(at=1.6) << carry_on(2, "b", "prefill")
    book.tell(Succeeded(ONE), at=1.7) << cancel(2, "lost") << finish(1)


def test_a_silent_stream_that_breaks_leaves_it_to_the_continuation() -> None:
    """One continuation at a time: the one under way has all the text there is."""
    book = stalling()
    book.wake(at=1.6) << carry_on(2, "b", "prefill")
    book.tell(failed(1, "reset"), at=1.7)
    book.tell(Produced(TWO), at=1.9) << commit(2)


def test_nobody_can_carry_on_a_silent_stream() -> None:
    """Then it has the time that the route gives."""
    book = flowing(candidate("a", stall_soft_s=0.6, continuation="none"))
    book.wake(at=1.1)
    book.sleep(until=5.5)
    book.wake(at=5.5) << cancel(1, "stall") << fail("stall", "a")


def test_a_continuation_has_deadlines_of_its_own() -> None:
    """One that does not come is replaced by the next rung."""
    book = flowing()
    book.tell(failed(1, "reset"), at=1.0) << carry_on(2, "b", "prefill")
    book.wake(at=3.0) << cancel(2, "connect_timeout") << carry_on(3, "c", "instructed")
    book.tell(Connected(THREE), at=3.1)
    book.tell(HeadReceived(THREE), at=3.2)
    book.wake(at=13.0) << cancel(3, "first_token_timeout") << carry_on(4, "a", "instructed")


def test_a_client_that_does_not_read_is_no_stall() -> None:
    """Neither concern nor limit runs while the client keeps us from reading; a continuation that joins then waits."""
    book = stalling()
    book.tell(ClientPaused(), at=1.1)
    book.sleep(until=50.0)
    book.tell(ClientResumed(), at=60.0)
    assert book.plan.next_deadline() == pytest.approx(60.6)
