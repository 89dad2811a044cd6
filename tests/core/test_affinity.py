"""A conversation keeps its upstream."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.routing.affinity import rendezvous
from streamroute.core.upstream import UpstreamId

NAMES = [UpstreamId(name) for name in ("a", "b", "c", "d")]


@given(
    key=st.text(max_size=20),
    names=st.lists(st.text(max_size=8).map(UpstreamId), min_size=1, max_size=6, unique=True),
    draw=st.randoms(use_true_random=False),
)
def test_the_order_decides_nothing(key: str, names: list[UpstreamId], draw: random.Random) -> None:
    """Every sidecar comes to the same answer, whatever the order in its configuration."""
    assert rendezvous(key, names) == rendezvous(key, draw.sample(names, len(names)))


@given(key=st.text(max_size=20), gone=st.sampled_from(NAMES))
def test_only_its_own_conversations_move(key: str, gone: UpstreamId) -> None:
    """When an upstream drops out, the conversations of the others stay where they are."""
    before = rendezvous(key, NAMES)
    after = rendezvous(key, [name for name in NAMES if name != gone])
    assert (after == before) is (before != gone)


def test_conversations_are_spread() -> None:
    """Of 4000 keys each of four upstreams gets a quarter, give or take five standard deviations."""
    shares = Counter(rendezvous(f"session-{i}", NAMES) for i in range(4000))
    assert set(shares) == set(NAMES)
    assert all(860 < share < 1140 for share in shares.values())


def test_nobody() -> None:
    """Where nobody is well enough, nobody is kept."""
    assert rendezvous("session", []) is None
