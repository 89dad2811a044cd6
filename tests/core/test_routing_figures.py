"""What routing comes to: sums, savings, calibration."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.money import Money
from streamroute.core.quality.reliability import BINS, Reliability, bin_of
from streamroute.core.routing.figures import Group, GroupFigures, RoutingFigures, figures_document, large_model
from streamroute.core.upstream import Route, TokenPrice, UpstreamId
from tests.support.observations import upstream

CENT = 10**10


def test_the_calibration_error_is_the_gap_of_the_means() -> None:
    """By hand: .75 predicted and half of it right, one of .95 that is right; an audit of one in four counts four."""
    table = Reliability()
    assert table.error is None
    for score in (1.0, 0.0):
        table.add(0.75, score)
    table.add(0.95, 1.0)
    assert table.error == pytest.approx((2 * 0.25 + 0.05) / 3)
    table.add(0.95, 0.0, weight=4.0)
    assert table.error == pytest.approx((2 * 0.25 + 5 * abs(0.95 - 0.2)) / 7)
    assert [each.count for each in table.bins] == [0, 0, 0, 0, 0, 0, 0, 2, 0, 2]


@given(st.floats(0.0, 1.0))
def test_every_prediction_has_a_bin(predicted: float) -> None:
    """Both ends included."""
    place = bin_of(predicted)
    assert place / BINS <= predicted + 1e-9
    assert predicted < (place + 1) / BINS or predicted == 1.0


def test_sums_by_any_dimension_are_the_same() -> None:
    """Shares add up to 1, savings are those of the sums; where something is not known, none are told."""
    figures = RoutingFigures()
    small = figures.of(Group("chat", 0, "law", "mail"))
    small.add(GroupFigures(requests=3, cost=Money(3 * CENT), baseline=Money(9 * CENT)))
    small.judged("feedback", 2, 2.0, 1.0)
    large = figures.of(Group("chat", 1, None, "mail"))
    large.add(GroupFigures(requests=1, cost=Money(4 * CENT), baseline=Money(3 * CENT)))
    large.judged("feedback", 1, 4.0, 4.0)
    document = figures_document(figures)
    total = document["total"]
    assert isinstance(total, dict)
    assert (total["requests"], total["cost_usd"], total["baseline_usd"]) == (4, "0.07", "0.12")
    assert (total["saved_usd"], total["saved_percent"]) == ("0.05", 41.67)
    assert total["quality"] == {"feedback": {"count": 3, "mean": round(5 / 6, 4)}}
    tiers = document["by_tier"]
    assert isinstance(tiers, list)
    assert [(each["tier"], each["share"], each["saved_usd"]) for each in tiers] == [
        (1, 0.75, "0.06"),
        (2, 0.25, "-0.01"),
    ]
    for name in ("by_route", "by_domain", "by_task"):
        rows = document[name]
        assert isinstance(rows, list)
        assert sum(each["requests"] for each in rows) == 4
    large.baseline_unknown = 1
    assert figures.total.baseline_unknown == 1
    unknown = figures_document(figures)["total"]
    assert isinstance(unknown, dict)
    assert unknown["saved_usd"] is unknown["saved_percent"] is None
    assert figures_document(RoutingFigures())["total"] == {
        "requests": 0,
        "share": None,
        "cost_usd": "0",
        "audits_usd": "0",
        "unpriced_calls": 0,
        "baseline_usd": "0",
        "baseline_unknown": 0,
        "saved_usd": None,
        "saved_percent": None,
        "quality": {},
    }


def test_whom_savings_are_measured_against() -> None:
    """The first of the last tier; without tiers whoever is dearest; nobody where no price is known."""
    price = {name: TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(name)) for name in "123"}
    known = {UpstreamId(name): upstream(name, price=price[name]) for name in "132"}
    ids = tuple(known)
    assert large_model(Route(name="r", upstreams=ids), known) == "3"
    assert large_model(Route(name="r", upstreams=ids, tiers=((ids[1],), (ids[2], ids[0]))), known) == "2"
    assert large_model(Route(name="r", upstreams=ids), {}) is None
