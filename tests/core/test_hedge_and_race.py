"""Calls beside the first one, as scripts: hedges, rivals in a race, and probes."""

import pytest

from streamroute.core.execution.events import (
    AttemptId,
    ClientGone,
    Connected,
    Doubted,
    HeadReceived,
    Produced,
    Progressed,
    Succeeded,
)
from streamroute.core.execution.failover import HEDGE_RETRY_S
from streamroute.core.health.standing import Standing
from streamroute.core.upstream import Deadlines, RetryOptions, UpstreamId
from tests.support.playbook import (
    ABANDON,
    Playbook,
    beside,
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
A_DOUBTED, B_DOUBTED = Doubted(UpstreamId("a")), Doubted(UpstreamId("b"))
SUSPECT = Standing(kind="suspect", risk=0.5)
PROBING = Standing(breaker="half_open", is_probe=True)


def hedged(**more: object) -> Playbook:
    book = failover(candidate("a"), candidate("b"), candidate("c"), hedge_after_s=0.8, **more)  # type: ignore[arg-type]
    book.start() << start(1, "a")
    return book


def test_a_late_first_token_brings_a_second_call_and_the_first_content_wins() -> None:
    """The hedge starts after its delay; whoever produces first is committed, the other cancelled at once."""
    book = hedged()
    assert book.plan.next_deadline() == 0.8
    book.wake(at=0.8) << beside(2, "b", "hedge")
    book.tell(Produced(TWO), at=1.1) << commit(2) << cancel(1, "lost")
    book.tell(Succeeded(TWO), at=2.0) << finish(2)


def test_the_first_call_can_still_win() -> None:
    """A hedge that comes second is cancelled; there is only ever one of them."""
    book = hedged()
    book.wake(at=0.8) << beside(2, "b", "hedge")
    book.tell(Produced(ONE), at=0.9) << commit(1) << cancel(2, "lost")


def test_an_error_shortcuts_the_delay() -> None:
    """A failure does not wait for the hedge's time: the next upstream is asked at once."""
    book = hedged()
    book.tell(failed(1, "server_error"), at=0.1) << start(2, "b")
    assert book.plan.next_deadline() == pytest.approx(0.9), "the second call is hedged like the first"
    book.wake(at=0.9) << beside(3, "c", "hedge")


def test_a_failure_beside_a_live_call_waits_for_it() -> None:
    """While one of two is under way the other's failure starts nobody new; when both have failed, the next is asked."""
    book = hedged()
    book.wake(at=0.8) << beside(2, "b", "hedge")
    book.tell(failed(1, "server_error"), at=0.9)
    book.tell(failed(2, "reset"), at=1.0) << start(3, "c")
    book.tell(failed(3, "reset"), at=1.1) << fail("reset", "a", "b", "c")


def test_a_clients_error_of_one_does_not_end_the_other() -> None:
    """A 400 may be one upstream's peculiarity while another is answering; of the last one it is the answer."""
    book = hedged()
    book.wake(at=0.8) << beside(2, "b", "hedge")
    book.tell(failed(2, "client_error"), at=0.9)
    book.tell(failed(1, "client_error"), at=1.0) << fail("client_error", "b", "a")


def test_a_hedge_that_may_not_be_made_changes_nothing() -> None:
    """A spent budget blocks the hedge, which is asked for again; the upstream can still be asked after a failure."""
    book = hedged()
    book.wake(at=0.8) << beside(2, "b", "hedge")
    book.tell(failed(2, "blocked"), at=0.8)
    assert book.plan.next_deadline() == 0.8 + HEDGE_RETRY_S
    book.tell(failed(1, "reset"), at=1.0) << start(3, "c")
    book.tell(failed(3, "reset"), at=1.1) << start(4, "b")


def test_nobody_in_trouble_is_a_backup() -> None:
    """Hedges go to upstreams that stand well, outside of the domain that is late."""
    book = failover(
        candidate("a", domain="x"), candidate("b", domain="x"), candidate("c", standing=SUSPECT), hedge_after_s=0.8
    )
    book.start() << start(1, "a")
    book.wake(at=0.8)


def test_an_answer_under_way_is_not_hedged() -> None:
    """Tool calls that are held back are progress: the upstream is not late."""
    book = hedged()
    book.tell(Connected(ONE), at=0.1)
    book.tell(HeadReceived(ONE), at=0.2)
    book.tell(Progressed(ONE, 0.6), at=0.8)
    book.wake(at=0.8)


def test_one_call_is_all_that_a_client_wants() -> None:
    """A limit on attempts holds for hedges and probes too."""
    book = failover(candidate("a"), candidate("b"), hedge_after_s=0.8, max_attempts=1, probe=candidate("p"))
    book.start() << start(1, "a")
    book.wake(at=0.8)


# -- whoever waits for an upstream that comes under suspicion


def test_suspicion_shortcuts_the_delay() -> None:
    """Others have shown that waiting is of no use: the hedge is asked now, it is the only one, and either may win."""
    book = hedged()
    book.tell(A_DOUBTED, at=0.3) << beside(2, "b", "hedge")
    book.sleep(until=0.9)
    book.tell(A_DOUBTED, at=0.9).tell(B_DOUBTED, at=1.0)
    book.tell(Produced(ONE), at=1.1) << commit(1) << cancel(2, "lost")


def test_suspicion_of_somebody_else_changes_nothing() -> None:
    """Only who was asked matters."""
    book = hedged()
    book.tell(B_DOUBTED, at=0.3).sleep(until=0.8)
    book.wake(at=0.8) << beside(2, "b", "hedge")


def test_after_a_hedge_suspicion_brings_no_second_one() -> None:
    """Also where its time had come by itself."""
    book = hedged()
    book.wake(at=0.8) << beside(2, "b", "hedge")
    book.tell(A_DOUBTED, at=0.9).tell(B_DOUBTED, at=0.9)


def test_suspicion_follows_the_request_to_whom_it_waits_for_now() -> None:
    """What is thought of one that has failed already is nothing new; the next one is hedged like the first."""
    book = hedged()
    book.tell(failed(1, "server_error"), at=0.1) << start(2, "b")
    book.tell(A_DOUBTED, at=0.2)
    book.tell(B_DOUBTED, at=0.3) << beside(3, "c", "hedge")


def test_suspicion_of_one_whose_answer_is_under_way_changes_nothing() -> None:
    """Content has come: to the client, or held back."""
    for has_come in (Produced(ONE), Progressed(ONE, 0.3)):
        book = hedged()
        book.tell(Connected(ONE), at=0.1).tell(HeadReceived(ONE), at=0.2)
        book.tell(has_come, at=0.3).skip()
        book.tell(A_DOUBTED, at=0.4)


def test_suspicion_hedges_no_other_plan() -> None:
    """Who does not want hedges gets none: `failover`, a race, an answer that does not stream."""
    listed = candidate("a"), candidate("b"), candidate("c")
    book = failover(*listed)
    book.start() << start(1, "a")
    book.tell(A_DOUBTED, at=0.3)
    book = failover(*listed, race_width=2)
    book.start() << start(1, "a") << beside(2, "b", "race")
    book.tell(A_DOUBTED, at=0.3)
    book = failover(*listed, hedge_after_s=0.8, stream=False)
    book.start() << start(1, "a")
    book.tell(A_DOUBTED, at=0.3)


def test_suspicion_finds_nobody_fit() -> None:
    """Without a backup that stands well there is nothing to do but wait."""
    book = failover(candidate("a"), candidate("b", standing=SUSPECT), hedge_after_s=0.8)
    book.start() << start(1, "a")
    book.tell(A_DOUBTED, at=0.3)
    book.tell(Produced(ONE), at=1.0) << commit(1)


def test_a_probe_is_no_reason_and_no_hindrance() -> None:
    """That the upstream on its way back is in doubt is why it is probed; whom the request waits for is what counts."""
    book = failover(candidate("a"), candidate("b"), hedge_after_s=0.8, probe=candidate("p", standing=PROBING))
    book.start() << start(1, "a") << beside(2, "p", "probe")
    book.tell(Doubted(UpstreamId("p")), at=0.2)
    book.tell(A_DOUBTED, at=0.3) << beside(3, "b", "hedge")


def test_a_hedge_by_suspicion_that_may_not_be_made_is_asked_for_again() -> None:
    """When an upstream hangs all who wait for it want a hedge at once, and the budget lets some through."""
    book = hedged()
    book.tell(A_DOUBTED, at=0.3) << beside(2, "b", "hedge")
    book.tell(failed(2, "blocked"), at=0.3)
    book.wake(at=0.3 + HEDGE_RETRY_S) << beside(3, "c", "hedge")


def test_nobody_is_asked_for_a_request_that_waits() -> None:
    """Between two attempts at the same upstream suspicion of it is no reason for a call beside nothing."""
    book = failover(
        candidate("a"), candidate("b"), hedge_after_s=0.8, retry=RetryOptions(same_upstream=1, backoff_s=0.1)
    )
    book.start() << start(1, "a")
    book.tell(failed(1, "server_error"), at=0.1)
    book.tell(A_DOUBTED, at=0.15)
    book.wake(at=0.25) << start(2, "a")
    book.tell(A_DOUBTED, at=0.3) << beside(3, "b", "hedge")


def test_a_request_that_is_over_hears_nothing() -> None:
    """Suspicion is told to all who run, some of whom have just ended."""
    book = hedged()
    book.tell(Succeeded(ONE), at=0.2).skip()
    book.tell(A_DOUBTED, at=0.2)


# -- races and probes


def test_a_race_starts_together() -> None:
    """Primary and backups at once; the first content token wins, the losers are cancelled without waiting."""
    book = failover(candidate("a"), candidate("b"), candidate("c"), race_width=3)
    book.start() << start(1, "a") << beside(2, "b", "race") << beside(3, "c", "race")
    book.tell(failed(2, "overloaded"), at=0.1)
    book.tell(Produced(THREE), at=0.3) << commit(3) << cancel(1, "lost")


def test_whole_answers_can_race() -> None:
    """Without a stream the first whole answer wins."""
    book = failover(candidate("a"), candidate("b"), race_width=2, stream=False)
    book.start() << start(1, "a") << beside(2, "b", "race")
    book.tell(Succeeded(TWO), at=0.3) << commit(2) << cancel(1, "lost") << finish(2)


def test_whole_answers_are_not_hedged() -> None:
    """Nothing is known of how long a whole answer takes."""
    book = failover(candidate("a"), candidate("b"), hedge_after_s=0.8, stream=False)
    book.start() << start(1, "a")
    assert book.plan.next_deadline() == Deadlines().connect_s


def probed() -> Playbook:
    book = failover(candidate("a"), candidate("b"), probe=candidate("p", standing=PROBING))
    book.start() << start(1, "a") << beside(2, "p", "probe")
    return book


def test_nobody_pays_for_a_probe() -> None:
    """Its failure changes nothing for the request that carries it, a client's error included."""
    for kind in ("server_error", "client_error", "blocked", "auth_failed"):
        book = probed()
        book.tell(failed(2, kind), at=0.1)  # type: ignore[arg-type]
        book.tell(Produced(ONE), at=0.5) << commit(1)


def test_a_probe_lives_until_its_first_token() -> None:
    """An upstream that is usually slower than the primary could never prove itself if the commit cancelled it."""
    book = probed()
    book.tell(Produced(ONE), at=0.5) << commit(1)
    book.tell(Produced(TWO), at=0.6) << cancel(2, "lost")
    book.tell(Succeeded(ONE), at=2.0) << finish(1)


def test_a_probe_can_win() -> None:
    """The first content is the first content; what wins and breaks off is carried on like any other."""
    book = probed()
    book.tell(Produced(TWO), at=0.4) << commit(2) << cancel(1, "lost")
    book.tell(failed(2, "reset"), at=0.9) << fail("reset", "p")


def test_a_probe_does_not_outlive_the_answer() -> None:
    """It goes with the request, with its first token or without."""
    book = probed()
    book.tell(Produced(ONE), at=0.5) << commit(1)
    book.tell(Succeeded(ONE), at=2.0) << cancel(2, "lost") << finish(1)


def test_a_probe_is_the_last_hope() -> None:
    """Where everyone else has failed its answer is better than none, and its failure ends the request."""
    book = probed()
    book.tell(failed(1, "reset"), at=0.1) << start(3, "b")
    book.tell(failed(3, "overloaded"), at=0.2)
    book.tell(failed(2, "reset"), at=0.3) << fail("overloaded", "a", "b")


def test_everyone_goes_with_the_client() -> None:
    """All live calls are cancelled when nobody listens."""
    book = probed()
    book.tell(ClientGone(), at=0.2) << cancel(1, "client_gone") << cancel(2, "client_gone") << ABANDON
