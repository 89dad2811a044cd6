"""Deadlines in the `failover` plan, at literal times: connecting, the head, the first token, gaps, all of it."""

from streamroute.core.execution.events import (
    AttemptId,
    ClientPaused,
    ClientResumed,
    Connected,
    HeadReceived,
    Produced,
    Progressed,
)
from streamroute.core.health.standing import Standing
from streamroute.core.upstream import Deadlines, RetryOptions
from tests.support.playbook import (
    Playbook,
    cancel,
    candidate,
    commit,
    fail,
    failed,
    failover,
    start,
)

ONE, TWO = AttemptId(1), AttemptId(2)
LIMITS = Deadlines(connect_s=2.0, headers_s=3.0, first_token_s=4.5, stall_s=1.0, total_s=60.0, answer_s=20.0)


def under_limits(*, stream: bool = True) -> Playbook:
    book = failover(candidate("a"), candidate("b"), deadlines=LIMITS, stream=stream)
    book.start() << start(1, "a")
    return book


def test_connect_deadline() -> None:
    """From the start of an attempt until the request is on its way."""
    book = under_limits()
    book.sleep(until=2.0)
    book.wake(at=2.0) << cancel(1, "connect_timeout") << start(2, "b")
    book.sleep(until=4.0)
    book.wake(at=4.0) << cancel(2, "connect_timeout") << fail("connect_timeout", "a", "b")
    book.over()


def test_headers_deadline() -> None:
    """From the connection until the status line."""
    book = under_limits()
    book.tell(Connected(ONE), at=1.0)
    book.sleep(until=4.0)
    book.wake(at=4.0) << cancel(1, "headers_timeout") << start(2, "b")
    book.end()


def test_first_token_deadline() -> None:
    """From the start of an attempt until its first content, whatever else has come."""
    book = under_limits()
    book.tell(Connected(ONE), at=1.0)
    book.tell(HeadReceived(ONE), at=2.0)
    book.sleep(until=4.5)
    book.wake(at=4.5) << cancel(1, "first_token_timeout") << start(2, "b")
    book.end()


def test_first_token_deadline_before_the_head() -> None:
    """The earlier of two deadlines counts, under its own name."""
    book = under_limits()
    book.tell(Connected(ONE), at=1.9)
    book.wake(at=4.5) << cancel(1, "first_token_timeout") << start(2, "b")
    book.end()


def test_stall_deadline_after_commit() -> None:
    """A gap between two tokens ends the answer with an error that says so."""
    book = under_limits()
    book.tell(Produced(ONE), at=1.0) << commit(1)
    book.sleep(until=2.0)
    book.tell(Progressed(ONE, 1.8), at=2.0)
    book.sleep(until=2.8)
    book.wake(at=2.8) << cancel(1, "stall") << fail("stall", "a")
    book.over()


def test_progress_is_told_late() -> None:
    """Progress reported out of order never moves a deadline back."""
    book = under_limits()
    book.tell(Produced(ONE), at=1.0) << commit(1)
    book.tell(Progressed(ONE, 1.5), at=2.0)
    book.tell(Progressed(ONE, 1.2), at=2.0)
    book.sleep(until=2.5)


def test_total_deadline() -> None:
    """From the arrival of the request, over all attempts, also after commit."""
    book = failover(candidate("a"), candidate("b"), deadlines=Deadlines(total_s=3.0, stall_s=9.0))
    book.start(at=1.0) << start(1, "a")
    book.tell(failed(1, "reset"), at=1.5) << start(2, "b")
    book.tell(Produced(TWO), at=2.0) << commit(2)
    book.sleep(until=3.0)
    book.wake(at=3.0) << cancel(2, "total_timeout") << fail("total_timeout", "a", "b")
    book.over()


def test_total_deadline_while_waiting() -> None:
    """A wait ends with the request's own time."""
    resting = Standing(kind="rate_limited", can_ask=False, until=50.0)
    retry = RetryOptions(wait_for_preferred_s=60.0)
    book = failover(candidate("a", standing=resting), retry=retry, deadlines=Deadlines(total_s=10.0))
    book.start()
    book.sleep(until=10.0)
    book.wake(at=10.0) << fail("total_timeout")
    book.over()


def test_answer_deadline() -> None:
    """An answer that does not stream has one limit until its head, then one between its blocks."""
    book = under_limits(stream=False)
    book.tell(Connected(ONE), at=0.5)
    book.sleep(until=20.0)
    book.wake(at=20.0) << cancel(1, "answer_timeout") << start(2, "b")
    book.tell(Connected(TWO), at=20.5)
    book.tell(HeadReceived(TWO), at=30.0)
    book.sleep(until=31.0)
    book.wake(at=31.0) << cancel(2, "stall") << fail("stall", "a", "b")
    book.over()


def test_a_slow_client_is_not_a_stall() -> None:
    """While the client keeps us from reading no gap counts; afterwards it counts from there."""
    book = under_limits()
    book.tell(Produced(ONE), at=1.0) << commit(1)
    book.tell(ClientPaused(), at=1.5)
    book.sleep(until=60.0)
    book.tell(Progressed(ONE, 1.4), at=5.0)
    book.sleep(until=60.0)
    book.tell(ClientResumed(), at=30.0)
    book.sleep(until=31.0)
    book.wake(at=31.0) << cancel(1, "stall") << fail("stall", "a")
    book.over()


def test_a_slow_client_has_the_total_deadline_too() -> None:
    """Not reading does not hold a request open for ever."""
    book = under_limits()
    book.tell(Produced(ONE), at=1.0) << commit(1)
    book.tell(ClientPaused(), at=1.5)
    book.wake(at=60.0) << cancel(1, "total_timeout") << fail("total_timeout", "a")
    book.over()
