"""Upstreams that a prompt is too long for beyond doubt: they are not asked, whatever else is known."""

from functools import partial

import pytest

from streamroute.core.routing.decision import Decision
from streamroute.core.routing.steering import decide
from streamroute.core.routing.tiers import decide_tiers
from streamroute.core.upstream import Capabilities, Route, Upstream
from tests.support.observations import upstream
from tests.support.steering import board, draws, request

SMALL, LARGE = (
    upstream(name, capabilities=Capabilities(context_tokens=size))
    for name, size in (("small", 8000), ("large", 100_000))
)
UNKNOWN = upstream("unknown")
TOO_LONG = "the prompt has at least 8001 tokens, and it takes 8000"


def decided(
    least: int, *upstreams: Upstream, tiers: tuple[tuple[Upstream, ...], ...] = (), choices: int = 1
) -> Decision:
    listed = upstreams or tuple(each for tier in tiers for each in tier)
    names = tuple(tuple(each.id for each in tier) for tier in tiers)
    route = Route(name="chat", upstreams=tuple(each.id for each in listed), tiers=names)
    chat = request(least_prompt_tokens=least, choices=choices)
    return decide_tiers(chat, route, listed, partial(decide, chat, board=board(), now=0.0, uniform=draws()))


def names(decision: Decision) -> list[str]:
    return [each.upstream.id for each in decision.candidates]


@pytest.mark.parametrize(("least", "asked"), [(0, 3), (8000, 3), (8001, 2), (100_001, 1)])
def test_who_is_too_small_is_not_asked(least: int, asked: int) -> None:
    """And it is said why; what is not known rules nobody out."""
    found = decided(least, SMALL, LARGE, UNKNOWN)
    assert names(found) == ["small", "large", "unknown"][3 - asked :]
    assert [each.upstream for each in found.rejected] == ["small", "large"][: 3 - asked]
    if least == 8001:
        assert [each.reason for each in found.rejected] == [TOO_LONG]


def test_where_nobody_is_left_all_stay() -> None:
    """The provider's own error is the truth then."""
    found = decided(100_001, SMALL, LARGE)
    assert (names(found), found.rejected) == (["small", "large"], ())


def test_a_tier_that_is_too_small_is_skipped() -> None:
    """It is named; where every tier is too small all stay."""
    found = decided(8001, tiers=((SMALL,), (LARGE,)))
    assert (names(found), found.next_tier) == (["large"], None)
    assert [(each.upstream, each.reason) for each in found.rejected] == [("small", TOO_LONG)]
    assert "a smaller tier (small) is skipped: none of it can serve the request" in found.reasons[-1]
    assert names(decided(100_001, tiers=((SMALL,), (LARGE,)))) == ["small"]
