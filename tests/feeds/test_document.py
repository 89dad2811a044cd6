"""What a feed may say, and what is not believed."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streamroute.core.cost.price_book import DatedPrice, PriceBook
from streamroute.core.cost.spot import absurdity
from streamroute.core.upstream import CredentialId, ProviderName, TokenPrice, Upstream, UpstreamId
from streamroute.errors import FeedError
from streamroute.feeds.document import MAX_PRICES, document_json_schema, read_document

NOW_S = datetime(2026, 11, 25, 10, 0, tzinfo=UTC).timestamp()
PRICE: dict[str, Any] = {"upstream": "mini", "input_per_mtok": 0.08, "output_per_mtok": "0.31"}
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "reference" / "price-feed.schema.json"


def document(*prices: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"version": 1, "as_of": "2026-11-25T09:59:00Z", "prices": prices, **more}).encode()


def read(body: bytes) -> tuple[int, list[DatedPrice]]:
    return read_document(body, source="feed spot", now_s=NOW_S)


def test_prices_are_exact() -> None:
    """Numbers are read as they are written, as numbers or as texts; more decimals than six are rounded."""
    third = {**PRICE, "upstream": "b", "input_per_mtok": 0.33333333333, "per_image": 0.001}
    as_of_ms, lines = read(document(PRICE, third))
    assert as_of_ms == (NOW_S - 60) * 1000
    assert lines[0] == DatedPrice(
        subject=UpstreamId("mini"),
        price=TokenPrice(input_per_mtok=Decimal("0.08"), output_per_mtok=Decimal("0.31")),
        source="feed spot",
    )
    assert lines[1].price.input_per_mtok == Decimal("0.333333")
    assert lines[1].price.per_image == Decimal("0.001")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is not JSON"),
        (b"<html>", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (document(PRICE)[:-5], "it is not JSON"),
        (document({**PRICE, "input_per_mtok": -1}), "prices.0.input_per_mtok: Input should be greater than or equal"),
        (document({**PRICE, "input_per_mtok": True}), "prices.0.input_per_mtok"),
        (document({**PRICE, "input_per_mtok": "NaN"}), "prices.0.input_per_mtok"),
        (document({**PRICE, "input_per_mtok": float("nan")}), "it is not JSON: NaN"),
        (document({**PRICE, "input_per_mtok": 1e300}), "prices.0.input_per_mtok"),
        (document({**PRICE, "inputs_per_mtok": 1}), "prices.0.inputs_per_mtok: Extra inputs are not permitted"),
        (document({"upstream": "mini"}), "prices.0.input_per_mtok: Field required"),
        (document({**PRICE, "provider": "lab"}), "prices.0: needs either upstream, or provider and model"),
        (document({**PRICE, "tier": "gold"}), "prices.0.tier"),
        (document(PRICE, PRICE), "prices.1: there is one for the same subject and tier already"),
        (document(*[PRICE] * (MAX_PRICES + 1)), "prices: List should have at most"),
        (document(PRICE, version=2), "version"),
        (document(PRICE, as_of="2026-11-25T09:59:00"), "as_of: Input should have timezone info"),
        (document(PRICE, as_of="2026-11-25T10:06:00Z"), "as_of 2026-11-25T10:06:00+00:00 lies in the future"),
        (b"[]", "Input should be a valid dictionary"),
    ],
)
def test_what_is_not_such_a_document_is_refused_as_a_whole(body: bytes, reason: str) -> None:
    """And says where the first mistake is."""
    with pytest.raises(FeedError) as error:
        read(body)
    assert error.value.is_refused
    assert str(error.value).startswith(reason)


def test_the_schema_in_the_documentation_is_that_of_the_code() -> None:
    """docs/reference/price-feed.schema.json, as editors and other programs read it."""
    assert json.loads(SCHEMA.read_text()) == document_json_schema()


def line(usd: str, **more: Any) -> DatedPrice:
    price = TokenPrice(input_per_mtok=Decimal(usd), output_per_mtok=Decimal(0))
    return DatedPrice(subject=more.pop("subject", UpstreamId("mini")), price=price, **more)


@pytest.mark.parametrize(
    ("new", "is_absurd"),
    [
        (line("1000"), False),
        (line("1000.000001"), True),
        (line("0.001"), False),
        (line("0.000999"), True),
        (line("0"), True),
        (line("90000", subject=UpstreamId("nobody")), False),
        (line("90000", tier="flex"), False),
        (line("90000", subject=(ProviderName("lab"), "m-1")), True),
    ],
)
def test_out_of_all_proportion_is_a_mistake(new: DatedPrice, *, is_absurd: bool) -> None:
    """More than a thousand times what would count without the feed, or less than a thousandth, where that is known."""
    mini = UpstreamId("mini")
    upstream = Upstream(
        id=mini, provider=ProviderName("lab"), model="m-1", credential=CredentialId("k"), failure_domain="lab"
    )
    found = absurdity([new], PriceBook([line("1")]), {mini: upstream}, 0)
    assert (found is not None) is is_absurd
