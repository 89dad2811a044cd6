"""Prices at dates, in tiers and by the hours of the day."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from streamroute.core.cost.price_book import DatedPrice, Price, PriceBook, Subject, Tier
from streamroute.core.money import MAX_MONEY
from streamroute.core.upstream import ProviderName, TokenPrice, UpstreamId
from streamroute.core.usage import Usage

LAB, MINI = ProviderName("lab"), UpstreamId("mini")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def line(
    usd: str,
    *,
    since: str | None = None,
    tier: Tier = "standard",
    hours: tuple[int, int] | None = None,
    subject: Subject = MINI,
) -> DatedPrice:
    return DatedPrice(
        subject=subject,
        price=TokenPrice(input_per_mtok=Decimal(usd), output_per_mtok=Decimal(usd)),
        tier=tier,
        since_ms=0 if since is None else ms(since),
        hours=hours,
        source=usd,
    )


def found(book: PriceBook, at: str, tier: str | None = None, model: str = "m-1") -> str | None:
    quote = book.find(MINI, LAB, model, tier, ms(at))
    return None if quote is None else quote.source


def test_every_kind_of_token_has_its_price() -> None:
    """Cached and written tokens are part of the input, reasoning of the output: none is paid for twice."""
    price = Price.of(
        TokenPrice(
            input_per_mtok=Decimal(1),
            output_per_mtok=Decimal(10),
            cached_input_per_mtok=Decimal("0.1"),
            cache_write_per_mtok=Decimal("1.25"),
            reasoning_per_mtok=Decimal(20),
            per_request=Decimal("0.01"),
        )
    )
    usage = Usage(
        input_tokens=100, output_tokens=50, cached_input_tokens=60, cache_write_tokens=30, reasoning_tokens=40
    )
    assert price.cost(usage) == 10 * 1_000_000 + 60 * 100_000 + 30 * 1_250_000 + 10 * 10**7 + 40 * 2 * 10**7 + 10**10


def test_a_kind_without_a_price_costs_what_it_is_part_of() -> None:
    """The list price of all input, where the cache has none of its own."""
    price = Price.of(TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(10)))
    plain = Usage(input_tokens=100, output_tokens=50)
    parted = Usage(
        input_tokens=100, output_tokens=50, cached_input_tokens=60, cache_write_tokens=30, reasoning_tokens=40
    )
    assert price.cost(parted) == price.cost(plain) == 100 * 1_000_000 + 50 * 10_000_000


def test_counts_that_contradict_each_other_are_cut() -> None:
    """No part is larger than the whole, and no cost is beyond what a ledger can add up."""
    price = Price.of(
        TokenPrice(input_per_mtok=Decimal(2), output_per_mtok=Decimal(2), cached_input_per_mtok=Decimal(1))
    )
    assert price.cost(Usage(input_tokens=10, cached_input_tokens=999, cache_write_tokens=5)) == 10 * 1_000_000
    assert price.cost(Usage(output_tokens=10**15)) == MAX_MONEY


@pytest.mark.parametrize(
    ("at", "source"),
    [
        ("2026-01-31T23:59:59.999", "1"),
        ("2026-02-01T00:00", "2"),
        ("2026-10-31T12:00", "2"),
        ("2026-11-01T00:00", "3"),
        ("2030-01-01T00:00", "3"),
    ],
)
def test_a_price_is_valid_from_its_date_until_the_next(at: str, source: str) -> None:
    """To the millisecond, in whatever order the lines stand."""
    book = PriceBook([line("3", since="2026-11-01"), line("1"), line("2", since="2026-02-01")])
    assert found(book, at) == source


def test_before_its_first_date_a_price_is_not_known() -> None:
    """A later price says nothing about earlier calls."""
    assert found(PriceBook([line("1", since="2026-11-01")]), "2026-10-31T23:59") is None


@pytest.mark.parametrize(
    ("at", "source"),
    [
        ("2026-11-05T16:29:59", "1"),
        ("2026-11-05T16:30", "0.5"),
        ("2026-11-06T00:29:59", "0.5"),
        ("2026-11-06T00:30", "1"),
        ("2026-12-05T16:30", "2"),
    ],
)
def test_hours_may_pass_midnight_and_end_with_their_period(at: str, source: str) -> None:
    """DeepSeek's hours of 2025. A new price for all day ends the hours of the old one."""
    book = PriceBook([line("1"), line("0.5", hours=(16 * 60 + 30, 30)), line("2", since="2026-12-01")])
    assert found(book, at) == source


def test_hours_that_begin_later_leave_the_price_for_all_day_as_it_is() -> None:
    """Off-peak prices are announced while the list price stays."""
    book = PriceBook([line("1"), line("0.5", since="2026-11-01", hours=(0, 60))])
    assert [found(book, at) for at in ("2026-10-31T00:30", "2026-11-02T00:30", "2026-11-02T01:00")] == ["1", "0.5", "1"]


@pytest.mark.parametrize(
    ("tier", "source"),
    [
        (None, "1"),
        ("default", "1"),
        ("on_demand", "1"),
        ("flex", "0.5"),
        ("priority", "2"),
        ("batch", None),
        ("brand-new", None),
    ],
)
def test_a_tier_has_its_own_price_or_none(tier: str | None, source: str | None) -> None:
    """Providers' words are known; a tier without a price is not billed at another one's."""
    book = PriceBook([line("1"), line("0.5", tier="flex"), line("2", tier="priority")])
    assert found(book, "2026-11-05", tier) == source


def test_an_upstreams_price_comes_before_its_models() -> None:
    """And the model's serves whatever the upstream has none for."""
    book = PriceBook([line("1", since="2026-11-01"), line("7", subject=(LAB, "m-1"))])
    assert found(book, "2026-10-01") == "7"
    assert found(book, "2026-11-01") == "1"
    assert found(book, "2026-10-01", model="m-2") is None
