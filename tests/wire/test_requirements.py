"""The `streamroute` object of a body: read, and taken out."""

from dataclasses import replace
from typing import Any

import pytest

from streamroute.core.money import Money
from streamroute.core.requirements import NO_REQUIREMENTS, Requirements
from streamroute.errors import RequestError
from streamroute.wire.requirements import take_requirements


def taken(given: object) -> Requirements:
    payload: dict[str, Any] = {"model": "m", "streamroute": given}
    found = take_requirements(payload)
    assert payload == {"model": "m"}
    return found


def test_all_fields() -> None:
    """By the names that clients use; names are folded, money is exact."""
    found = taken(
        {
            "min_quality": 0.92,
            "max_cost_usd": 0.1,
            "max_ttft_s": 1,
            "max_total_s": "20.5",
            "domain": " Code ",
            "task": "review",
            "class": "Batch",
            "residency": "EU",
            "policy": "economy",
        }
    )
    assert found == Requirements(
        min_quality=0.92,
        max_cost=Money(100_000_000_000),
        max_ttft_s=1.0,
        max_total_s=20.5,
        domain="code",
        task="review",
        latency_class="batch",
        residency="eu",
        policy="economy",
    )


@pytest.mark.parametrize("given", [{}, None, {"min_quality": None}])
def test_nothing_said(given: object) -> None:
    """An empty object, none, or fields without a value."""
    assert taken(given) is NO_REQUIREMENTS


@pytest.mark.parametrize(
    ("cost", "picodollars"), [("0.000000000001", 1), (0.1 + 0.2, None), ("1e-3", 10**9), (1_000_000, 10**18)]
)
def test_money(cost: object, picodollars: int | None) -> None:
    """Twelve decimals and no more; a float counts by its shortest text."""
    if picodollars is None:
        with pytest.raises(RequestError, match="at most 12 decimals"):
            taken({"max_cost_usd": cost})
    else:
        assert taken({"max_cost_usd": cost}).max_cost == picodollars


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "`streamroute` must be an object; found an array."),
        ({"min_quality": -0.1}, "`streamroute.min_quality` must be a number from 0 to 1; found -0.1."),
        ({"min_quality": "NaN"}, "`streamroute.min_quality` must be a number from 0 to 1; found 'NaN'."),
        ({"max_ttft_s": 86_401}, "must be a number of seconds above 0, to 86400; found 86401."),
        ({"max_total_s": "9" * 500}, "must be a number of seconds above 0, to 86400; found '9999"),
        ({"max_ttft_s": "1e-400"}, "must be a number of seconds above 0, to 86400; found '1e-400'."),
        ({"max_total_s": "1_0"}, "must be a number of seconds above 0, to 86400; found '1_0'."),
        ({"max_cost_usd": "1_0"}, "must be an amount in US dollars above 0, to 1000000; found '1_0'."),
        ({"min_quality": "0.0_1"}, "must be a number from 0 to 1; found '0.0_1'."),
        ({"domain": "a\x00b"}, r"must be a name without line breaks and other control characters; found 'a\x00b'."),
        ({"task": "a\nb"}, r"must be a name without line breaks and other control characters; found 'a\nb'."),
        ({"residency": "e\u2028u"}, "must be a name without line breaks and other control characters; found "),
        ({"max_cost_usd": True}, "must be an amount in US dollars above 0, to 1000000; found a boolean."),
        ({"domain": ""}, "must be a name of at most 128 characters; found a string that is empty."),
        ({"domain": 7}, "must be a name of at most 128 characters; found 7."),
        ({"policy": "cheap"}, "must be one of quality, balanced, economy; found 'cheap'."),
        ({"quality": 1}, "`streamroute` has no field `quality`; did you mean `min_quality`?"),
        ({"zzz": 1}, "`streamroute` has no field `zzz`; it has min_quality, max_cost_usd, "),
    ],
)
def test_what_is_wrong(given: object, message: str) -> None:
    """The field, its range, and what was found."""
    with pytest.raises(RequestError) as caught:
        taken(given)
    assert message in caught.value.message
    assert caught.value.status == 400


def test_what_is_said_first_counts() -> None:
    """Of each field."""
    header, body = Requirements(min_quality=0.9), Requirements(min_quality=0.1, domain="law")
    assert header.over(body) == Requirements(min_quality=0.9, domain="law")
    assert NO_REQUIREMENTS.over(body) is body
    assert header.over(None) is header


def test_an_operators_word_is_tightened_and_never_loosened() -> None:
    """Of limits the stricter one holds, the operator's region, and of what is a choice what the client says."""
    floor = Requirements(
        min_quality=0.8, max_cost=Money(10), max_ttft_s=2.0, max_total_s=20.0, residency="eu", policy="economy"
    )
    looser = Requirements(min_quality=0.1, max_cost=Money(99), max_ttft_s=3.0, max_total_s=30.0, residency="us")
    assert looser.within(floor) == floor
    stricter = Requirements(min_quality=0.9, max_cost=Money(5), max_ttft_s=1.0, max_total_s=10.0, policy="quality")
    assert stricter.within(floor) == replace(stricter, residency="eu")
    assert NO_REQUIREMENTS.within(floor) is floor
    assert floor.within(NO_REQUIREMENTS) is floor
    assert floor.within(None) is floor
    assert Requirements(domain="law", residency="us").within(Requirements(min_quality=0.5, domain="tax")) == (
        Requirements(min_quality=0.5, domain="law", residency="us")
    )
