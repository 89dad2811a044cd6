"""The public price list of the package `genai-prices`, for what nobody has configured a price of.

The package is an extra: its data is part of it, nothing is fetched. Models are matched as it matches them, and every
price comes from its own `get_prices`, asked once for each span of dates and hours; so there is no second reading of
its rules here that could differ from them. Four things are ours:

1. A service tier for which the list has no prices of its own is unpriced, and not at the standard price.
2. Prices are rounded to a picodollar a token: a few of the list are converted ones with 17 decimals.
3. Only what chat answers report is priced: tokens of input, output, cache and reasoning, and calls. Tokens of audio,
   images and video are paid like those of text, for their counts are not reported apart by all; searches, pages, hours
   and characters are not counted in a chat answer at all.
4. A model that has only prices of the latter kind is unpriced. One without any price is free, as the list says.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from importlib.util import find_spec
from re import match
from typing import TYPE_CHECKING, Any

from streamroute.core.cost.price_book import DatedPrice, Tier
from streamroute.core.upstream import LongContext, ProviderName, TokenPrice

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, PriceVariant, TieredPrices

    Dated = ConditionalPrice | PriceVariant
    Given = Mapping[str, Decimal | TieredPrices]

EXTRA = "streamroute[prices]"
_PACKAGE = "genai_prices"
_KINDS = {
    "input_mtok": "input_per_mtok",
    "output_mtok": "output_per_mtok",
    "cache_read_mtok": "cached_input_per_mtok",
    "cache_write_mtok": "cache_write_per_mtok",
    "cache_write_1h_mtok": "cache_write_1h_per_mtok",
    "output_reasoning_mtok": "reasoning_per_mtok",
}
_REQUESTS = "requests_kcount"
_TIERS: dict[Tier, dict[str, str]] = {
    "standard": {},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "batch": {"processing": "batch"},
}
_EPOCH = date(1970, 1, 1)
_TOKEN = Decimal("0.000001")
_CALL = Decimal("0.000000000001")


def is_installed() -> bool:
    """Say whether there is a list at all."""
    return find_spec(_PACKAGE) is not None


def known_lists() -> tuple[str, ...]:
    """Return the names of its providers."""
    return tuple(provider.id for provider in _snapshot().providers)


def list_at(base_url: str) -> str | None:
    """Return the provider of the list that is called at this address."""
    for provider in _snapshot().providers:
        if match(provider.api_pattern, base_url):
            return provider.id
    return None


class PublicPrices:
    """A `PriceList`. Only to be made where the package is installed."""

    def __init__(self, lists: Mapping[ProviderName, str]) -> None:
        """`lists` tells for our providers which one of the list they are."""
        self._lists = lists
        self._source = f"genai-prices {version(_PACKAGE)}"
        self._snapshot = _snapshot()

    def lines(self, provider: ProviderName, model: str) -> Sequence[DatedPrice]:
        """Return all prices of a model, none where it is not known."""
        name = self._lists.get(provider)
        if name is None:
            return ()
        try:
            found, info = self._snapshot.find_provider_model(model, None, name, None)
        except LookupError:
            return ()
        is_own = any(info is each for each in found.models)
        return [
            DatedPrice(
                subject=(provider, model), price=price, tier=tier, since_ms=since_ms, hours=hours, source=self._source
            )
            for tier, context in _TIERS.items()
            for since_ms, hours, price in _spans(info, context if is_own else {}, is_tier=bool(context))
        ]


def _snapshot() -> "DataSnapshot":
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - optional, and takes a third of a second

    return get_snapshot()


def _spans(
    info: "ModelInfo", context: Mapping[str, str], *, is_tier: bool
) -> Iterator[tuple[int, tuple[int, int] | None, TokenPrice]]:
    """Yield the price from each date on, for all day and for the hours that differ."""
    conditions = [*(info.prices if isinstance(info.prices, list) else ()), *(info.price_variants or ())]
    minutes = _minutes(conditions)
    for since in _dates(conditions):
        at = [datetime(since.year, since.month, since.day, *divmod(minute, 60), tzinfo=UTC) for minute in minutes]
        if is_tier and not all(_has_tier(info, context, each) for each in at):
            continue
        prices = [_token_price(info.get_prices(each, context)) for each in at]
        if any(price is None for price in prices):
            continue
        since_ms = (since - _EPOCH).days * 86_400_000
        for index, price in enumerate(prices):
            if price is not None and (index == 0 or price != prices[0]):
                until = minutes[index + 1] if index + 1 < len(minutes) else 0
                yield since_ms, (minutes[index], until) if index else None, price


def _has_tier(info: "ModelInfo", context: Mapping[str, str], at: datetime) -> bool:
    return any(
        all(context.get(key) == value for key, value in variant.when.items())
        and (variant.constraint is None or variant.constraint.active(at))
        for variant in info.price_variants or ()
    )


def _dates(conditions: Sequence["Dated"]) -> list[date]:
    starts = {getattr(each.constraint, "start_date", _EPOCH) for each in conditions}
    return sorted({_EPOCH, *starts})


def _minutes(conditions: Sequence["Dated"]) -> list[int]:
    """Return the minutes of the UTC day at which a price can change, midnight first."""
    found = {0}
    for each in conditions:
        for name in ("start_time", "end_time"):
            moment = getattr(each.constraint, name, None)
            if moment is not None:
                at = datetime.combine(_EPOCH, moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
                found.add(60 * at.hour + at.minute)
    return sorted(found)


def _token_price(price: "ModelPrice") -> TokenPrice | None:
    """Return a price in our terms; None where it has prices, and none of them is for what a chat answer reports."""
    given: Given = {key: value for key, value in vars(price).items() if value is not None}
    if given and not given.keys() & {*_KINDS, _REQUESTS}:
        return None
    starts = {tier.start for value in given.values() if not isinstance(value, Decimal) for tier in value.tiers}
    longer = tuple(LongContext(above_tokens=start, price=_plain(given, start)) for start in sorted(starts))
    return replace(_plain(given, None), long_context=longer)


def _plain(given: "Given", start: int | None) -> TokenPrice:
    """Return the price of prompts longer than `start`; None: of those below all limits."""
    amounts: dict[str, Any] = {"input_per_mtok": Decimal(0), "output_per_mtok": Decimal(0)}
    for key, name in _KINDS.items():
        if key in given:
            amounts[name] = _at(given[key], start).quantize(_TOKEN, ROUND_HALF_EVEN)
    if _REQUESTS in given:
        amounts["per_request"] = (_at(given[_REQUESTS], start) / 1000).quantize(_CALL, ROUND_HALF_EVEN)
    return TokenPrice(**amounts)


def _at(value: "Decimal | TieredPrices", start: int | None) -> Decimal:
    if isinstance(value, Decimal):
        return value
    price = value.base
    for tier in value.tiers:
        if start is not None and tier.start <= start:
            price = tier.price
    return price
