"""When an upstream that is steered away from is asked all the same; `test_steering.py` tells how."""

from itertools import pairwise

import pytest

from streamroute.core.routing.explorer import (
    CONFIRMED_BY,
    CONFIRMED_WITHIN_S,
    EXPLORED_EVERY_S,
    EXPLORED_SHARE,
    HOPEFUL_EVERY_S,
    LEAST_REQUESTS_BETWEEN,
    MAX_TRACKED,
    Explorer,
)
from streamroute.core.upstream import UpstreamId

A, B = UpstreamId("a"), UpstreamId("b")


def explored_at(*times: float, explorer: Explorer | None = None, draw: float = 0.5, **more: bool) -> list[float]:
    """Return the times at which one of requests at `times` explores `a`."""
    known = explorer or Explorer()
    return [at for at in times if known.is_due(A, at, lambda: draw, **more)]


def every(interval_s: float, until: float) -> list[float]:
    return [interval_s * i for i in range(int(until / interval_s) + 1)]


def test_an_alarm_is_confirmed_by_a_handful_of_requests() -> None:
    """Each of the first ones explores, whatever is drawn; then no more."""
    assert explored_at(*every(0.1, 1.9), draw=0.99) == every(0.1, 1.9)[:CONFIRMED_BY]


def test_confirming_ends_in_time() -> None:
    """Where requests are rare a moment later is not right after the alarm any more."""
    assert explored_at(0.0, 0.9 * CONFIRMED_WITHIN_S, 1.1 * CONFIRMED_WITHIN_S) == [0.0, 0.9 * CONFIRMED_WITHIN_S]


def test_each_alarm_is_confirmed() -> None:
    """One that ended and another one are two; of one upstream and of another, too."""
    explorer = Explorer()
    explored_at(*every(0.1, 1.9), explorer=explorer)
    assert explored_at(2.0, explorer=explorer) == []
    assert explorer.is_due(B, 2.0, lambda: 0.5)
    explorer.forget(A)
    explorer.forget(UpstreamId("never heard of"))
    assert explored_at(*every(0.1, 1.9), explorer=explorer) == every(0.1, 1.9)[:CONFIRMED_BY]


@pytest.mark.parametrize(("is_hopeful", "every_s"), [(False, EXPLORED_EVERY_S), (True, HOPEFUL_EVERY_S)])
def test_then_it_is_a_matter_of_time(is_hopeful: bool, every_s: float) -> None:
    """Every five seconds after the confirmation, every second where the last answer was a good one."""
    later = explored_at(*every(0.1, 20.0), is_hopeful=is_hopeful)[CONFIRMED_BY:]
    assert later
    assert [b - a for a, b in pairwise(later)] == pytest.approx([every_s] * (len(later) - 1))
    assert later[0] - 0.1 * (CONFIRMED_BY - 1) == pytest.approx(every_s)


def test_or_of_chance() -> None:
    """A draw below the share explores at any time, where enough requests went elsewhere."""
    times = every(0.01, 2.0)
    found = [round(at / 0.01) for at in explored_at(*times, draw=0.9 * EXPLORED_SHARE)][CONFIRMED_BY:]
    assert {b - a for a, b in pairwise(found)} == {LEAST_REQUESTS_BETWEEN + 1}


@pytest.mark.parametrize("is_hopeful", [False, True])
def test_most_of_rare_requests_go_to_who_is_well(is_hopeful: bool) -> None:
    """With one a minute each of them would explore, by time alone."""
    found = explored_at(*every(60.0, 60.0 * 20), draw=0.0, is_hopeful=is_hopeful)
    assert len(found) == 1 + 20 // (LEAST_REQUESTS_BETWEEN + 1)


def test_memory_is_bounded() -> None:
    """Clients can name any upstream; the one that was met first is forgotten first."""
    explorer = Explorer()
    for number in range(MAX_TRACKED + 10):
        explorer.is_due(UpstreamId(f"made-up/{number}"), 0.0, lambda: 0.5)
    assert list(explorer._absent) == [f"made-up/{number}" for number in range(10, MAX_TRACKED + 10)]
