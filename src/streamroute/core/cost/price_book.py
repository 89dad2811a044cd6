"""What a call costs, by who was asked, when, and in which service tier.

Rules of the file:

1. Prices of an upstream come before prices of its provider's model.
2. A price without hours begins a new period, in which hours of earlier periods are no longer valid.
3. A service tier has its own prices. One that the provider names and the book has no price for is unpriced: a bill at
   another tier's price would be wrong in one direction or the other.
4. What decides is the moment when a call ended, as DeepSeek says of its off-peak hours; nobody else has any.

Everything is compiled when the book is made: a lookup is two dictionary reads and one bisection.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from streamroute.core.money import MAX_MONEY, Money, money, per_token
from streamroute.core.upstream import ProviderName, TokenPrice, UpstreamId
from streamroute.core.usage import Usage

Tier = Literal["standard", "batch", "flex", "priority"]
Subject = UpstreamId | tuple[ProviderName, str]
"""An upstream, or a provider's model."""

TIERS: dict[str | None, Tier] = {
    None: "standard",
    "": "standard",
    "auto": "standard",
    "default": "standard",
    "standard": "standard",
    "on_demand": "standard",
    "batch": "batch",
    "flex": "flex",
    "priority": "priority",
    "performance": "priority",
}
"""Providers' words for a tier: OpenAI says `default`, Groq `on_demand` and `performance`, Anthropic `standard`."""
_MINUTE_MS = 60_000
_DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class Price:
    """Picodollars a token and a call."""

    input: Money
    output: Money
    cached_input: Money
    cache_write: Money
    reasoning: Money
    per_request: Money

    @classmethod
    def of(cls, price: TokenPrice) -> "Price":
        """Compile a price. A kind without its own one costs what the tokens that it is part of cost."""
        input_, output = per_token(price.input_per_mtok), per_token(price.output_per_mtok)
        return cls(
            input=input_,
            output=output,
            cached_input=_or(price.cached_input_per_mtok, input_),
            cache_write=_or(price.cache_write_per_mtok, input_),
            reasoning=_or(price.reasoning_per_mtok, output),
            per_request=money(price.per_request),
        )

    def cost(self, usage: Usage) -> Money:
        """Return what one call costs. Parts that exceed what they are part of are cut to it."""
        cached = min(usage.cached_input_tokens, usage.input_tokens)
        written = min(usage.cache_write_tokens, usage.input_tokens - cached)
        reasoning = min(usage.reasoning_tokens, usage.output_tokens)
        amount = (
            (usage.input_tokens - cached - written) * self.input
            + cached * self.cached_input
            + written * self.cache_write
            + (usage.output_tokens - reasoning) * self.output
            + reasoning * self.reasoning
            + self.per_request
        )
        return Money(min(amount, MAX_MONEY))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedPrice:
    """One line of a price list."""

    subject: Subject
    price: TokenPrice
    tier: Tier = "standard"
    since_ms: int = 0
    """Wall-clock milliseconds from which it is valid."""
    hours: tuple[int, int] | None = None
    """Minutes of the UTC day, [from, until); past midnight where `until` is not above `from`. None: all day."""
    source: str = ""
    """Where it stands, for the ledger."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A price that is valid, and where it came from."""

    price: Price
    source: str


@dataclass(slots=True)
class _Period:
    all_day: Quote | None = None
    hours: dict[tuple[int, int], Quote] = field(default_factory=dict)

    def at(self, minute: int) -> Quote | None:
        for (start, end), quote in self.hours.items():
            if start <= minute < end or (end <= start and (minute >= start or minute < end)):
                return quote
        return self.all_day


class PriceBook:
    """All prices that are known."""

    def __init__(self, prices: Iterable[DatedPrice] = ()) -> None:
        """Compile; raises ValueError for a price with too many decimals."""
        self._starts: dict[tuple[Subject, Tier], list[int]] = {}
        self._periods: dict[tuple[Subject, Tier], list[_Period]] = {}
        # At one moment the price for all day comes first: it begins the period in which the hours are.
        for each in sorted(prices, key=lambda price: (price.since_ms, price.hours is not None)):
            self._add(each)

    def find(
        self, upstream: UpstreamId, provider: ProviderName, model: str, tier: str | None, at_ms: int
    ) -> Quote | None:
        """Return the price of a call that ended at `at_ms`, None where nobody knows it. `tier` as the provider said."""
        known = TIERS.get(tier)
        if known is None:
            return None
        return self._at((upstream, known), at_ms) or self._at(((provider, model), known), at_ms)

    def _add(self, line: DatedPrice) -> None:
        key = (line.subject, line.tier)
        starts, periods = self._starts.setdefault(key, []), self._periods.setdefault(key, [])
        if not starts or starts[-1] != line.since_ms:
            before = periods[-1] if periods else _Period()
            starts.append(line.since_ms)
            periods.append(_Period(before.all_day, dict(before.hours)))
        quote = Quote(Price.of(line.price), line.source)
        if line.hours is None:
            periods[-1] = _Period(quote)
        else:
            periods[-1].hours[line.hours] = quote

    def _at(self, key: tuple[Subject, Tier], at_ms: int) -> Quote | None:
        starts = self._starts.get(key)
        if starts is None:
            return None
        index = bisect_right(starts, at_ms) - 1
        if index < 0:
            return None
        period = self._periods[key][index]
        return period.at(at_ms // _MINUTE_MS % _DAY_MINUTES) if period.hours else period.all_day


def _or(given: Decimal | None, else_: Money) -> Money:
    return else_ if given is None else per_token(given)
