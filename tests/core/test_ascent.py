"""Where to begin among tiers, and which to ask next."""

import pytest

from streamroute.core.routing.learned.ascent import LEAST_JUDGED, Ascent


def known(**shares: float) -> Ascent:
    """Make one that has seen enough of each tier: `t0=0.9`."""
    ascent = Ascent()
    for name, share in shares.items():
        for i in range(400):
            ascent.was_judged(int(name[1:]), is_accepted=(i % 100) < 100 * share)
    return ascent


@pytest.mark.parametrize(
    ("ascent", "costs", "best"),
    [
        (Ascent(), [1.0, 10.0], 0),
        (known(t0=0.9), [1.0, 10.0], 0),
        (known(t0=0.05), [1.0, 10.0], 1),
        (known(t0=0.05), [0.1, 10.0], 0),
        (known(t0=0.9, t1=0.02), [1.0, 5.0, 10.0], 0),
        (known(t0=0.02, t1=0.9), [1.0, 2.0, 10.0], 1),
        (known(t0=0.02, t1=0.02), [1.0, 2.0, 10.0], 2),
        (known(t0=0.02), [1.0, 2.0, 10.0], 1),
    ],
)
def test_the_cheapest_way_up(ascent: Ascent, costs: list[float], best: int) -> None:
    """A tier pays where what it saves, as often as it does, is more than it costs; one that nobody knows is asked."""
    assert ascent.best(range(len(costs)), costs) == best


def test_only_those_that_are_left_count() -> None:
    """After an escalation the choice is among the rest, by their own places."""
    ascent = known(t0=0.9, t1=0.02)
    assert ascent.best([1, 2], [5.0, 10.0]) == 1
    assert ascent.best([2], [10.0]) == 0


def test_a_share_is_not_believed_before_enough_was_judged() -> None:
    """And it follows what happens later."""
    ascent = Ascent()
    for _ in range(LEAST_JUDGED - 1):
        ascent.was_judged(0, is_accepted=False)
    assert ascent.share(0) is None
    for _ in range(LEAST_JUDGED):
        ascent.was_judged(0, is_accepted=False)
    assert (ascent.share(0) or 1.0) < 0.02
    for _ in range(300):
        ascent.was_judged(0, is_accepted=True)
    assert (ascent.share(0) or 0.0) > 0.6
