"""What routing has come to, added up by the database."""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest

from streamroute.core.cost.price import Price
from streamroute.core.money import Money
from streamroute.core.routing.figures import Group
from streamroute.core.upstream import TokenPrice
from streamroute.errors import StoreError
from streamroute.stores.ledger import Ledger
from streamroute.stores.routing_report import read_routing
from tests.support.entries import NOON_MS, attempt_entry, quality_entry, request_entry

PRICE = Price.of(TokenPrice(input_per_mtok=Decimal(10), output_per_mtok=Decimal(50)))
ANSWER = 100 * 10 * 10**6 + 20 * 50 * 10**6
"""Picodollars of the tokens of an entry, at that price."""


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with closing(Ledger(url, busy_timeout_s=0.01)) as opened:
        yield opened


def price_of(route: str, day: int) -> Price | None:
    assert day == NOON_MS // 86_400_000
    return PRICE if route == "chat" else None


def test_costs_follow_their_request(ledger: Ledger, url: str) -> None:
    """A rejected small answer and the large one that came after it are of the tier that answered; probes are nobody's;
    the baseline counts the answer alone."""
    small = {"domain": "law", "task": "mail", "route_tier": 0}
    ledger.write(
        [
            attempt_entry("r1", task="mail"),
            request_entry("r1", **small),
            attempt_entry("r2", 1, outcome="failed", cost=Money(5)),
            attempt_entry("r2", 2, cause="failover", upstream="b", cost=Money(7)),
            request_entry("r2", route_tier=1, upstream="b"),
            attempt_entry("r3", route="other", cost=None),
            request_entry("r3", route="other"),
            attempt_entry("probe_1", route=None, cause="probe"),
        ]
    )
    found = read_routing(url, 0, None, price_of)
    one, two = found.groups[Group("chat", 0, "law", "mail")], found.groups[Group("chat", 1, None, None)]
    assert (one.requests, one.cost, one.baseline, one.baseline_unknown) == (1, 10**9, ANSWER, 0)
    assert (two.requests, two.cost, two.baseline) == (1, 12, ANSWER)
    three = found.groups[Group("other", None, None, None)]
    assert (three.requests, three.unpriced_calls, three.baseline_unknown) == (1, 1, 1)
    assert found.total.requests == 3


def test_quality_and_calibration(ledger: Ledger, url: str) -> None:
    """Weighted by the inverse chance of being judged, by source; edges of bins belong to the bin above them."""
    ledger.write(
        [
            quality_entry("r1", score=1.0, predicted=0.75, route_tier=0),
            quality_entry("r2", score=0.0, predicted=0.75, route_tier=0),
            quality_entry("r3", score=0.5, weight=4.0, source="audit", predicted=1.0, route_tier=0),
            quality_entry("r4", score=0.5, source="audit", predicted=0.7),
            quality_entry("r5", score=1.0),
        ]
    )
    found = read_routing(url, 0, None, price_of)
    of_small = found.groups[Group("chat", 0, None, None)].quality
    assert (of_small["feedback"].count, of_small["feedback"].mean, of_small["audit"].mean) == (2, 0.5, 0.5)
    assert found.total.quality["feedback"].mean == pytest.approx(2 / 3)
    assert [each.count for each in found.reliability["feedback"].bins] == [0, 0, 0, 0, 0, 0, 0, 2, 0, 0]
    assert [each.count for each in found.reliability["audit"].bins] == [0, 0, 0, 0, 0, 0, 0, 1, 0, 1]
    assert found.reliability["feedback"].error == pytest.approx(0.25)
    assert found.reliability["audit"].error == pytest.approx((4 * 0.5 + 0.2) / 5)


def test_a_span_of_time(ledger: Ledger, url: str) -> None:
    """To the millisecond; its end is not in it."""
    ledger.write([request_entry(f"r{i}", ended_at_ms=NOON_MS + i) for i in range(4)])
    ledger.write([attempt_entry(f"r{i}", ended_at_ms=NOON_MS + i) for i in range(4)])
    found = read_routing(url, NOON_MS + 1, NOON_MS + 3, price_of).total
    assert (found.requests, found.cost) == (2, 2 * 10**9)


def test_no_ledger(url: str) -> None:
    """One that is not there, or of another version, is no empty report."""
    with pytest.raises(StoreError):
        read_routing(url, 0, None, price_of)
