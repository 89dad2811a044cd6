"""Who is asked beside the first, to learn whether it is well again."""

from dataclasses import replace

import pytest

from streamroute.core.health.standing import WELL, Standing
from streamroute.core.routing.explorer import CONFIRMED_BY, Explorer
from streamroute.core.upstream import (
    LatencyClass,
)
from tests.support.steering import ILL, NORMAL, OPEN, SLOW, Board, Known, board, decided, order, probed


def confirmed(known: Board, explorer: Explorer) -> None:
    """Let the moment pass in which an alarm is confirmed."""
    for i in range(CONFIRMED_BY):
        decided(known, 0.5, now=0.1 * i, explorer=explorer)


def test_an_alarm_is_confirmed_at_once() -> None:
    """Right after traffic has moved away a handful of requests ask who was left beside whoever serves them."""
    explorer, known = Explorer(), board(a=(SLOW, ILL))
    found = [decided(known, 0.5, now=0.1 * i, explorer=explorer) for i in range(CONFIRMED_BY + 2)]
    assert [probed(each) for each in found] == ["a"] * CONFIRMED_BY + [None] * 2
    assert {order(each)[0] for each in found} == {"b"}, "nobody pays for it with time"


def test_who_was_well_and_is_ill_again_is_confirmed_again() -> None:
    """An alarm that ended and another one are two."""
    explorer, ill = Explorer(), board(a=(SLOW, ILL))
    confirmed(ill, explorer)
    assert probed(decided(ill, 0.5, now=1.0, explorer=explorer)) is None
    assert probed(decided(board(), 0.5, now=1.1, explorer=explorer)) is None
    assert probed(decided(ill, 0.5, now=1.2, explorer=explorer)) == "a"


def test_exploring_in_time() -> None:
    """One that is steered away from is asked beside the first every five seconds, if enough requests went elsewhere."""
    explorer, known = Explorer(), board(a=(SLOW, ILL))
    confirmed(known, explorer)
    found = [
        decided(known, 0.5, now=at, explorer=explorer) for at in (3.0, 4.0, 5.0, 5.3, 5.6, 6.0, 7.0, 8.0, 9.0, 11.0)
    ]
    assert [probed(each) for each in found] == [None] * 4 + ["a"] + [None] * 4 + ["a"]
    assert [each.is_exploring for each in found] == [probed(each) == "a" for each in found]
    assert {order(each) for each in found} == {"bca"}, "and it is a last choice for the request itself"


def test_another_route_does_not_make_it_well() -> None:
    """A route that has nobody else to ask goes on asking it: that is no reason to confirm the alarm again."""
    explorer, known = Explorer(), board(a=(SLOW, ILL))
    explored = 0
    for i in range(200):
        decided(known, 0.5, now=0.2 * i, names="a", explorer=explorer)
        explored += decided(known, 0.5, now=0.2 * i, explorer=explorer).is_exploring
    assert explored <= CONFIRMED_BY + 10


def test_who_is_crowded_is_not_explored() -> None:
    """It was passed over because it has too much to do."""
    crowded = replace(NORMAL, in_flight=20, in_flight_limit=4.0)
    assert not decided(board(a=(WELL, crowded)), 0.0, explorer=Explorer()).is_exploring


def test_exploring_who_gives_hope() -> None:
    """Where the last answer came as soon as usual it is asked again about every second."""
    explorer, known = Explorer(), board(a=(replace(SLOW, is_hopeful=True), ILL))
    confirmed(known, explorer)
    found = [decided(known, 0.5, now=1.0 + 0.2 * i, explorer=explorer) for i in range(11)]
    assert [probed(each) for each in found].count("a") == 2


def test_exploring_at_random() -> None:
    """And by chance, two in a hundred; but of rare requests most go to who is well."""
    explorer, known = Explorer(), board(a=(SLOW, ILL))
    confirmed(known, explorer)
    for at in (1.0, 1.1, 1.2, 1.3):
        assert probed(decided(known, 0.019, now=at, explorer=explorer)) is None
    assert probed(decided(known, 0.021, now=1.5, explorer=explorer)) is None
    assert probed(decided(known, 0.019, now=1.6, explorer=explorer)) == "a"
    rare = [probed(decided(known, now=60.0 * i, explorer=explorer)) for i in range(1, 6)]
    assert rare == [None] * 4 + ["a"]


@pytest.mark.parametrize(
    ("known", "of", "panic"),
    [
        ({"a": (SLOW, ILL)}, "batch", False),
        ({"a": (SLOW, ILL)}, "latency_critical", False),
        ({"a": (SLOW, ILL)}, "interactive", True),
        ({"a": OPEN}, "interactive", False),
        ({"b": (SLOW, ILL)}, "interactive", False),  # not preferred to who was chosen
        ({}, "interactive", False),
    ],
)
def test_what_is_not_explored(known: dict[str, Standing | Known], of: LatencyClass, panic: bool) -> None:
    """Only who is asked too little, by requests that can be hedged, and while there is something to steer by."""
    explorer = Explorer()
    for i in range(20):
        decision = decided(replace(board(**known), panic=panic), 0.0, now=10.0 * i, of=of, explorer=explorer)
        assert not decision.is_exploring


def test_exploring_a_balanced_route() -> None:
    """There any that is ill is explored, where its share is too small to learn from."""
    explorer, known = Explorer(), board(c=(SLOW, replace(ILL, penalty=6.0)))
    found = decided(known, 0.0, 0.0, 0.5, now=0.0, steering="balanced", explorer=explorer)
    assert probed(found) == "c"
    assert order(found)[0] == "a"
