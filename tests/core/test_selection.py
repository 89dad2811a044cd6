"""Whom a plan asks next, of the candidates that are left."""

from dataclasses import replace

import pytest

from streamroute.core.execution.selection import Selection, must_wait
from streamroute.core.health.standing import Estimate, Standing
from streamroute.core.routing.decision import Candidate
from tests.support.playbook import candidate

OPEN = Standing(breaker="open", can_ask=False, until=50.0)
HALF_OPEN = Standing(breaker="half_open", is_probe=True)
RESTING = Standing(kind="rate_limited", can_ask=False, until=9.0)
SUSPECT = Standing(kind="suspect", risk=0.5)


def best(selection: Selection, now: float = 0.0) -> tuple[str, bool] | None:
    """Return whom to ask by name, and whether as a last resort."""
    found = selection.best(now)
    return None if found is None else (found[0].upstream.id, found[1])


def taken(selection: Selection, now: float = 0.0) -> str:
    """Ask one after the other until nobody is left; a last resort in capitals."""
    order = ""
    while (found := selection.best(now)) is not None:
        selection.take(found[0])
        order += found[0].upstream.id.upper() if found[1] else found[0].upstream.id
    return order


def test_the_order_of_the_decision() -> None:
    """Whoever is ready first, then those that are down as last resorts; who must wait not at all."""
    listed = [candidate("a", standing=OPEN), candidate("b"), candidate("c", standing=RESTING), candidate("d")]
    assert taken(Selection(listed)) == "bdA"
    assert taken(Selection(listed), now=9.0) == "bcdA"
    assert taken(Selection(listed), now=50.0) == "bcda"
    assert Selection([]).best(0.0) is None


def test_half_open_comes_after_all_that_are_well() -> None:
    """Though its domain is another one than that which has failed."""
    listed = [candidate("a", standing=HALF_OPEN), candidate("b", domain="x"), candidate("c")]
    selection = Selection(listed)
    selection.failed(candidate("z", domain="x").upstream)
    assert taken(selection) == "cba"


def test_who_was_late_comes_again_once() -> None:
    """Behind the others that are well, before those that are not; the second time it is the last chance."""
    first, other, down = candidate("a"), candidate("b"), candidate("c", standing=OPEN)
    selection = Selection([first, other, down])
    assert not selection.is_last_chance(first)
    selection.take(first)
    selection.failed(first.upstream)
    selection.late(first)
    assert selection.is_last_chance(first)
    assert taken(selection) == "baC"
    selection.late(first)
    assert selection.best(0.0) is None


def test_the_last_one_left_is_the_last_chance() -> None:
    """Nobody could be quicker."""
    only = candidate("a")
    selection = Selection([only])
    assert not selection.is_last_chance(only)
    selection.take(only)
    assert selection.is_last_chance(only)


def test_put_off_and_given_back() -> None:
    """A refused one is a last resort from then on; one that was not asked after all comes last."""
    a, b = candidate("a"), candidate("b")
    selection = Selection([a, b])
    selection.take(a)
    selection.put_off(a)
    assert taken(selection) == "bA"
    selection = Selection([a, b])
    selection.take(a)
    selection.give_back(a)
    selection.take(candidate("never listed"))
    assert taken(selection) == "ba"


def test_only_a_larger_context_will_do() -> None:
    """Known to be larger, or unknown."""
    sizes = {"same": 8000, "larger": 32_000, "smaller": 4000, "unknown": None}
    listed = [candidate(name, context_tokens=size) for name, size in sizes.items()]
    selection = Selection(listed)
    selection.keep_larger(candidate("too small", context_tokens=8000).upstream)
    assert [best(selection), taken(selection)] == [("larger", False), "largerunknown"]
    selection = Selection(listed)
    selection.keep_larger(candidate("of no known size").upstream)
    assert best(selection) == ("same", False)


@pytest.mark.parametrize(
    ("each", "is_fit"),
    [
        (candidate("b"), True),
        (candidate("b", standing=SUSPECT), False),
        (candidate("b", standing=HALF_OPEN), False),
        (candidate("b", standing=OPEN), False),
        (candidate("b", standing=RESTING), False),
        (candidate("b", domain="busy"), False),
        (candidate("b", domain="failed"), False),
        (replace(candidate("b"), estimate=Estimate(ttft_s=1.0, normal_ttft_s=1.0, capacity=0.5)), False),
    ],
    ids=["well", "suspect", "half open", "open", "resting", "busy domain", "failed domain", "no room"],
)
def test_who_is_fit_to_be_asked_beside(each: Candidate, is_fit: bool) -> None:
    """A backup must be likely to answer where the first is not, and take nothing from first calls."""
    selection = Selection([each])
    selection.failed(candidate("z", domain="failed").upstream)
    found = selection.backup(0.0, {"busy"})
    assert (found is each) is is_fit


def test_who_must_wait_and_for_how_long() -> None:
    """What a client is told where nobody could be asked."""
    resting, longer = candidate("a", standing=RESTING), candidate("b", standing=replace(RESTING, until=20.0))
    selection = Selection([longer, resting])
    assert selection.best(1.0) is None
    assert selection.soonest(1.0) is resting
    told = dict(selection.waiting(1.0))
    assert {who: failure.retry_after_s for who, failure in told.items()} == {"a": 8.0, "b": 19.0}
    assert [who for who, _ in selection.waiting(10.0)] == ["b"]
    assert must_wait(resting, 30.0).retry_after_s == 0.0
    assert Selection([]).soonest(0.0) is None
