"""The pace of streams, and what counts as a stall."""

from math import exp, log

import pytest

from streamroute.core.health.pace import MIN_CONTENT_EVENTS, STALL_GAPS, STALL_SAMPLES, Pace, pace_ln
from tests.support.observations import attempt


def test_a_stall_is_known_after_some_streams_and_follows_what_is_learned() -> None:
    """Unknown at first; what was read once is read anew after the next stream."""
    pace = Pace()
    assert (pace.tpot_s, pace.stall_soft_s) == (None, None)
    for n in range(STALL_SAMPLES):
        assert pace.stall_soft_s is None
        pace.take(log(0.2), float(n))
        pace.gap(0.3, float(n))
    assert pace.tpot_s == exp(pace.level)
    before = pace.stall_soft_s
    assert before == pytest.approx(STALL_GAPS * 0.2, rel=0.1)
    for n in range(100):
        pace.take(log(0.1), 10.0 + n)
        pace.gap(2.0, 10.0 + n)
    after = pace.stall_soft_s
    assert pace.tpot_s == pytest.approx(0.1, rel=0.1)
    assert after is not None
    assert after > before


def test_which_streams_say_something_of_the_pace() -> None:
    """Not short ones, nor whole answers, nor those that a slow client held up all the time."""
    usual = {"content_events": MIN_CONTENT_EVENTS + 1, "ttft_s": 1.0, "duration_s": 3.0}
    assert pace_ln(attempt(**usual)) == pytest.approx(log(0.2))
    assert pace_ln(attempt(**usual, paused_s=1.0)) == pytest.approx(log(0.1))
    for different in (
        {"content_events": MIN_CONTENT_EVENTS - 1},
        {"stream": False},
        {"ttft_s": None},
        {"paused_s": 2.0},
    ):
        assert pace_ln(attempt(**{**usual, **different})) is None
