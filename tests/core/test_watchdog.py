"""Which of an attempt's deadlines runs out next."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.core.execution.watchdog import Watchdog
from streamroute.core.upstream import Deadlines

LIMITS = Deadlines(connect_s=2.0, headers_s=3.0, first_token_s=4.0, stall_s=1.0, answer_s=20.0)


def watchdog(*, stream: bool = True) -> Watchdog:
    return Watchdog(LIMITS, stream=stream, now=100.0)


def test_phases_of_a_stream() -> None:
    """Connecting, then the head, then the first token, then the gaps: each with its own limit and name."""
    dog = watchdog()
    assert (dog.due, dog.verdict) == (102.0, "connect_timeout")
    dog.connected(100.5)
    assert (dog.due, dog.verdict) == (103.5, "headers_timeout")
    dog.head_received(101.0)
    assert (dog.due, dog.verdict) == (104.0, "first_token_timeout")
    dog.progressed(103.0)
    assert (dog.due, dog.verdict) == (104.0, "stall")
    dog.progressed(103.7)
    assert (dog.due, dog.verdict) == (104.7, "stall")


def test_phases_of_an_answer_that_does_not_stream() -> None:
    """One limit until the head, then one between blocks."""
    dog = watchdog(stream=False)
    assert (dog.due, dog.verdict) == (102.0, "connect_timeout")
    dog.connected(101.0)
    assert (dog.due, dog.verdict) == (120.0, "answer_timeout")
    dog.head_received(115.0)
    assert (dog.due, dog.verdict) == (116.0, "stall")
    dog.progressed(115.5)
    assert (dog.due, dog.verdict) == (116.5, "stall")


def test_the_first_token_limit_holds_in_every_phase_before_it() -> None:
    """A short first-token limit is not hidden by a long connect or headers limit."""
    dog = Watchdog(Deadlines(connect_s=9.0, headers_s=9.0, first_token_s=4.0), stream=True, now=0.0)
    assert (dog.due, dog.verdict) == (4.0, "first_token_timeout")
    dog.connected(1.0)
    assert (dog.due, dog.verdict) == (4.0, "first_token_timeout")


def test_news_out_of_order_changes_nothing() -> None:
    """A late `connected` or head does not go back a phase, late progress does not shorten a gap."""
    dog = watchdog()
    dog.progressed(103.0)
    dog.connected(103.1)
    dog.head_received(103.2)
    dog.progressed(102.0)
    assert (dog.due, dog.verdict) == (104.0, "stall")


@pytest.mark.parametrize("is_early", [True, False])
def test_pause(is_early: bool) -> None:
    """Nothing is due while the client keeps us from reading, also when news of before the pause comes in."""
    dog = watchdog()
    if not is_early:
        dog.progressed(101.0)
    dog.paused()
    assert dog.due == float("inf")
    dog.connected(101.2)
    dog.head_received(101.3)
    dog.progressed(101.4)
    assert dog.due == float("inf")
    dog.resumed(150.0)
    assert (dog.due, dog.verdict) == (151.0, "stall")


@settings(deadline=None, max_examples=100)
@given(
    news=st.lists(st.sampled_from(["connected", "head", "progressed", "paused", "resumed"]), max_size=12),
    stream=st.booleans(),
)
def test_due_never_moves_into_the_past(news: list[str], *, stream: bool) -> None:
    """Told in order and in time, progress always leaves time for the next."""
    dog, now = watchdog(stream=stream), 100.0
    is_paused = False
    for each in news:
        now += 0.5
        match each:
            case "connected":
                dog.connected(now)
            case "head":
                dog.head_received(now)
            case "progressed":
                dog.progressed(now)
                assert dog.due >= now + LIMITS.stall_s
            case "paused":
                dog.paused()
                is_paused = True
            case _:
                dog.resumed(now)
                is_paused = False
        assert (dog.due == float("inf")) == is_paused
