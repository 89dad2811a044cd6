"""Prices at dates, in tiers and by the hours of the day."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from streamroute.core.cost.price import Price
from streamroute.core.cost.price_book import MAX_LISTED, DatedPrice, PriceBook, Shelf, SpotPrices, Subject, Tier
from streamroute.core.cost.price_now import priced_at
from streamroute.core.money import MAX_MONEY
from streamroute.core.upstream import CredentialId, LongContext, ProviderName, TokenPrice, Upstream, UpstreamId
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


def test_a_long_prompt_has_the_price_of_its_length() -> None:
    """All tokens of the call, from the first token above the limit on; beside tokens it costs what others cost."""
    longer = TokenPrice(input_per_mtok=Decimal(2), output_per_mtok=Decimal(15), per_request=Decimal("0.01"))
    longest = TokenPrice(input_per_mtok=Decimal(3), output_per_mtok=Decimal(20))
    price = TokenPrice(
        input_per_mtok=Decimal(1),
        output_per_mtok=Decimal(10),
        per_request=Decimal("0.01"),
        long_context=(LongContext(above_tokens=100, price=longer), LongContext(above_tokens=200, price=longest)),
    )
    compiled = Price.of(price)
    assert compiled.cost(Usage(input_tokens=100, output_tokens=1)) == 100 * 10**6 + 10**7 + 10**10
    assert compiled.cost(Usage(input_tokens=101, output_tokens=1)) == 101 * 2 * 10**6 + 15 * 10**6 + 10**10
    assert compiled.cost(Usage(input_tokens=201, output_tokens=1)) == 201 * 3 * 10**6 + 20 * 10**6
    assert price.rough_usd(100, 1) == pytest.approx(110e-6)
    assert price.rough_usd(201, 1) == pytest.approx(623e-6)


def test_what_is_kept_for_an_hour_and_what_is_seen_has_its_price() -> None:
    """One-hour cache writes are part of cache writes; images come on top of their tokens."""
    price = Price.of(
        TokenPrice(
            input_per_mtok=Decimal(1),
            output_per_mtok=Decimal(5),
            cache_write_per_mtok=Decimal("1.25"),
            cache_write_1h_per_mtok=Decimal(2),
            per_image=Decimal("0.003"),
        )
    )
    usage = Usage(input_tokens=100, cache_write_tokens=60, cache_write_1h_tokens=50)
    assert price.cost(usage, images=2) == 40 * 10**6 + 10 * 1_250_000 + 50 * 2 * 10**6 + 2 * 3 * 10**9
    without = Price.of(
        TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(5), cache_write_per_mtok=Decimal(4))
    )
    assert without.cost(usage) == 40 * 10**6 + 60 * 4 * 10**6


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


class Listed:
    """A public list with one model."""

    def __init__(self) -> None:
        self.asked = 0

    def lines(self, provider: ProviderName, model: str) -> Sequence[DatedPrice]:
        self.asked += 1
        return [line("8", subject=(provider, model)), line("4", tier="flex", subject=(provider, model))][
            : 2 * (model == "m-1")
        ]


def test_what_is_configured_comes_before_the_list() -> None:
    """The list fills what the configuration leaves open: other models, and tiers without a price of their own."""
    listed = Listed()
    book = PriceBook([line("1", since="2026-11-01")], listed=listed)
    assert found(book, "2026-11-25") == "1"
    assert found(book, "2026-10-31") == "8"
    assert found(book, "2026-11-25", "flex") == "4"
    assert found(book, "2026-10-31", model="m-2") is None
    assert found(book, "2026-10-31", model="m-2") is None
    assert listed.asked == 2


def test_what_clients_name_does_not_fill_the_memory() -> None:
    """Models that nobody has configured are forgotten and looked up again."""
    listed = Listed()
    book = PriceBook(listed=listed)
    for number in range(MAX_LISTED + 1):
        found(book, "2026-11-25", model=f"x-{number}")
    assert found(book, "2026-11-25") == "8"
    assert len(book._shelves) == 2


def spot(*lines: DatedPrice, until: str | None) -> SpotPrices:
    return SpotPrices(
        name="spot",
        shelf=Shelf(lines),
        stale_at_ms=ms("2026-11-25T10:00"),
        until_ms=None if until is None else ms(until),
    )


def test_a_feed_is_believed_marked_and_left() -> None:
    """Fresh it comes before all else; stale it says so; too old it leaves the word to the configuration."""
    book = PriceBook([line("1"), line("2", tier="flex")])
    book.spot = [spot(line("0.3"), until="2026-11-25T11:00")]
    assert found(book, "2026-11-25T09:59:59.999") == "0.3"
    assert found(book, "2026-11-25T10:00") == "0.3 (stale)"
    assert found(book, "2026-11-25T10:59") == "0.3 (stale)"
    assert found(book, "2026-11-25T11:00") == "1"
    assert found(book, "2026-11-25T09:00", "flex") == "2"
    book.spot = [spot(line("0.3"), until=None)]
    assert found(book, "2027-01-01") == "0.3 (stale)"


def test_steering_sees_the_price_that_accounting_would_use() -> None:
    """Of this very moment; an upstream whose price has not changed stays the same object."""
    upstream = Upstream(id=MINI, provider=LAB, model="m-1", credential=CredentialId("k"), failure_domain="lab")
    book = PriceBook([line("2", since="2026-11-25"), line("0.5", since="2026-11-25", hours=(0, 60))])
    before = priced_at({MINI: upstream}, book, ms("2026-11-24T23:59"))
    assert before[MINI] is upstream
    cheap = priced_at(before, book, ms("2026-11-25T00:59"))
    assert cheap[MINI].price is not None
    assert cheap[MINI].price.input_per_mtok == Decimal("0.5")
    assert priced_at(cheap, book, ms("2026-11-25T00:30"))[MINI] is cheap[MINI]
    dear = priced_at(cheap, book, ms("2026-11-25T01:00"))[MINI].price
    assert dear is not None
    assert dear.input_per_mtok == Decimal(2)
