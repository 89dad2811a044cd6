"""How far a bidder is believed."""

from streamroute.core.routing.bidder_trust import BidderTrust


def test_promises_kept() -> None:
    """A bidder that keeps them, or more, has its full weight."""
    trust = BidderTrust()
    assert trust.weight == 1.0
    for score in (0.5, 1.0, 1.0):
        trust.learn(0.8, score)
    assert trust.weight == 1.0


def test_promises_broken() -> None:
    """Worthless answers take it down, from twenty kept promises on; below a half it counts for nothing."""
    trust = BidderTrust()
    trust.learn(1.0, 0.0)
    assert round(trust.weight, 4) == 0.9524
    trust.learn(1.0, 0.0, weight=18.0)
    assert round(trust.weight, 2) == 0.51
    trust.learn(1.0, 0.0, weight=2.0)
    assert trust.weight == 0.0


def test_trust_is_earned_back() -> None:
    """Old outcomes are forgotten."""
    trust = BidderTrust()
    trust.learn(1.0, 0.0, weight=30.0)
    for _ in range(200):
        trust.learn(0.9, 1.0)
    assert trust.weight == 1.0
