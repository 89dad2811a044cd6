"""First tokens that are later than is like their upstream, as scripts: the others first, then the same one again."""

import pytest

from streamroute.core.execution.events import AttemptId, Produced
from streamroute.core.health.sketch import LogSketch, RelativeTtft
from streamroute.core.health.standing import Standing
from streamroute.core.routing.decision import Candidate
from streamroute.core.upstream import Deadlines
from tests.support.playbook import (
    READY,
    Playbook,
    beside,
    cancel,
    candidate,
    commit,
    fail,
    failed,
    failover,
    start,
)

OPEN = Standing(breaker="open", can_ask=False, until=9.0)
HALF_OPEN = Standing(breaker="half_open", is_probe=True)
RESTING = Standing(kind="rate_limited", can_ask=False, until=900.0)
LATE_S, ROUTE_S = 8.0, 30.0
"""Eight times the usual second; and what the route allows, to upstreams that are hardly known."""


def known(name: str, standing: Standing = READY) -> Candidate:
    """Make a candidate that always took 1 s to its first token."""
    sketch = LogSketch()
    for _ in range(60):
        sketch.add(0.0, 0.0)
    return candidate(name, standing=standing, ttft=RelativeTtft(sketch))


def book_of(*candidates: Candidate, hedge_after_s: float | None = None, max_attempts: int = 16) -> Playbook:
    deadlines = Deadlines(connect_s=2 * ROUTE_S, headers_s=2 * ROUTE_S, first_token_s=ROUTE_S)
    return failover(*candidates, deadlines=deadlines, hedge_after_s=hedge_after_s, max_attempts=max_attempts)


@pytest.mark.parametrize("standing", [OPEN, HALF_OPEN, RESTING])
def test_one_that_is_well_is_asked_again_before_one_that_is_ill(standing: Standing) -> None:
    """Giving up a call is a bet that another is quicker. Where all others are ill, the best bet is a fresh call to
    the same upstream: most late answers are one call's bad luck."""
    book = book_of(known("well"), known("ill", standing))
    book.start() << start(1, "well")
    book.wake(at=LATE_S + 0.1) << cancel(1, "first_token_timeout") << start(2, "well")
    book.tell(Produced(AttemptId(2)), at=LATE_S + 1.0) << commit(2)


def test_others_that_are_well_come_first() -> None:
    """Each is asked once before anyone is asked again, in the order in which they were late."""
    book = book_of(known("a"), known("b"), known("ill", OPEN))
    book.start() << start(1, "a")
    book.wake(at=8.1) << cancel(1, "first_token_timeout") << start(2, "b")
    book.wake(at=16.2) << cancel(2, "first_token_timeout") << start(3, "a")
    book.tell(failed(3, "reset"), at=17.0) << start(4, "b")
    book.tell(failed(4, "reset"), at=18.0) << start(5, "ill")
    book.tell(failed(5, "overloaded"), at=18.1) << fail("overloaded", "a", "b", "a", "b", "ill")


def test_the_second_time_it_has_all_the_time_the_route_gives() -> None:
    """Who is late twice is slow, not unlucky: it is waited for as long as the route allows, and then no more."""
    book = book_of(known("a"), known("ill", OPEN))
    book.start() << start(1, "a")
    book.wake(at=8.1) << cancel(1, "first_token_timeout") << start(2, "a")
    book.sleep(until=8.1 + ROUTE_S)
    book.wake(at=8.2 + ROUTE_S) << cancel(2, "first_token_timeout") << start(3, "ill")


def test_a_lone_upstream_is_waited_for() -> None:
    """Nobody else could be quicker: a call is not given up for the sake of another to the same upstream."""
    book = book_of(known("a"))
    book.start() << start(1, "a")
    book.sleep(until=ROUTE_S)
    book.wake(at=ROUTE_S) << cancel(1, "first_token_timeout") << fail("first_token_timeout", "a")


def test_a_late_hedge_is_no_loss() -> None:
    """First and hedge are both late: the first is asked again, for the third is known to be down."""
    book = book_of(known("a"), known("b"), known("ill", OPEN), hedge_after_s=2.5)
    book.start() << start(1, "a")
    book.wake(at=2.5) << beside(2, "b", "hedge")
    book.wake(at=8.1) << cancel(1, "first_token_timeout")
    book.wake(at=10.6) << cancel(2, "first_token_timeout") << start(3, "a")


def test_a_refused_second_call_leaves_the_last_resort() -> None:
    """Its breaker has opened meanwhile: then the one that was down is worth a try, too."""
    book = book_of(known("a"), known("ill", OPEN))
    book.start() << start(1, "a")
    book.wake(at=8.1) << cancel(1, "first_token_timeout") << start(2, "a")
    book.tell(failed(2, "blocked"), at=8.1) << start(3, "ill", last_resort=True)


def test_calls_again_count_as_calls() -> None:
    """The client's limit on calls holds."""
    book = book_of(known("a"), known("ill", OPEN), max_attempts=1)
    book.start() << start(1, "a")
    book.wake(at=8.1) << cancel(1, "first_token_timeout") << fail("first_token_timeout", "a")


def test_a_failure_is_no_lateness() -> None:
    """An upstream that said no is not asked again while anyone else is left, however ill."""
    book = book_of(known("a"), known("ill", OPEN))
    book.start() << start(1, "a")
    book.tell(failed(1, "server_error"), at=1.0) << start(2, "ill", last_resort=True)
