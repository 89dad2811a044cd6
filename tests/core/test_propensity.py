"""With which chance the first candidate was chosen: what replays weigh by."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from streamroute.core.routing.decision_log import traits
from streamroute.core.routing.steering import decide
from streamroute.core.upstream import Route, UpstreamId
from tests.support.observations import upstream
from tests.support.steering import NORMAL, Board, board, decided, request

DRAWS = 4000


@pytest.mark.parametrize(
    ("steering", "known"),
    [
        ("balanced", board()),
        ("balanced", board(a=replace(NORMAL, ttft_s=0.5), c=replace(NORMAL, ttft_s=2.0))),
        ("balanced", board(a=replace(NORMAL, in_flight=3), b=replace(NORMAL, in_flight=1))),
        ("preferred", board(a=replace(NORMAL, capacity=0.3))),
        ("preferred", board(a=replace(NORMAL, capacity=0.3), b=replace(NORMAL, capacity=0.5))),
    ],
)
def test_the_chance_is_the_share(steering: str, known: Board) -> None:
    """Over many requests that stand alike each is first as often as its propensity says, within five standard errors;
    the propensities add up to 1."""
    rng = random.Random(11)
    listed = [upstream(name, provider=name) for name in "abc"]
    route = Route(name="chat", upstreams=tuple(each.id for each in listed), steering=steering)  # type: ignore[arg-type]  # one of two
    first: Counter[str] = Counter()
    said: dict[str, float] = {}
    for _ in range(DRAWS):
        decision = decide(request(), route, listed, known, 0.0, rng.random)
        name = decision.candidates[0].upstream.id
        first[name] += 1
        assert said.setdefault(name, decision.propensity) == pytest.approx(decision.propensity)
    assert sum(said.values()) == pytest.approx(1.0)
    for name, chance in said.items():
        assert first[name] / DRAWS == pytest.approx(chance, abs=5 * (chance * (1 - chance) / DRAWS) ** 0.5 + 1e-9)


def test_what_is_not_drawn_is_certain() -> None:
    """The route's own order, a conversation that stays, a panic."""
    assert decided(board()).propensity == 1.0
    assert decided(board(), steering="balanced", key="conversation").propensity == 1.0
    assert decided(Board(panic=True), steering="balanced").propensity == 1.0


def test_only_who_was_to_be_first_has_one() -> None:
    """An answer of whoever was asked after a failure says nothing of what chance would have chosen."""
    decision = decided(board(a=replace(NORMAL, capacity=0.3)), 0.9)
    assert traits(decision, UpstreamId("b")).propensity == pytest.approx(0.7)
    assert traits(decision, UpstreamId("a")).propensity is None
