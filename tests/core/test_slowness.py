"""Evidence of slowness, sample by sample."""

import pytest

from streamroute.core.health.estimators import SURELY_WELL, SlownessTest, slow_llr
from streamroute.core.health.ttft import MAX_SPREAD, MIN_SPREAD


@pytest.mark.parametrize("spread", [MIN_SPREAD, 0.25, 0.4, 0.6, MAX_SPREAD, 2 * MAX_SPREAD])
def test_usual_times_speak_for_an_upstream(spread: float) -> None:
    """From two spreads below the usual up to it a time is never evidence of slowness: `add` need not compute it."""
    for step in range(101):
        assert slow_llr(SURELY_WELL * step / 100 * spread, spread) < 0.0


def test_usual_times_take_back_what_was_held_against_it() -> None:
    """Where there is evidence, or a call under way is owed some, a usual time counts in full."""
    slow = SlownessTest()
    slow.add(1.5, 0.3, 10.0, 10.0)
    before = slow.jump
    slow.add(-0.1, 0.3, 10.0, 10.0)
    assert slow.jump == before + slow_llr(-0.1, 0.3)
    owed = SlownessTest()
    owed.add(-0.1, 0.3, 10.0, 10.0, waiting=2)
    assert owed.jump == slow_llr(-0.1, 0.3)
