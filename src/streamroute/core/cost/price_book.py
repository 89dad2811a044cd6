"""What a call costs, by who was asked, when, and in which service tier.

Rules of the file:

1. What a feed says comes first, while it is fresh enough; then what is configured; then the public list, if there is
   one. Within each, prices of an upstream come before prices of its provider's model.
2. A price without hours begins a new period, in which hours of earlier periods are no longer valid.
3. A service tier has its own prices. One that the provider names and the book has no price for is unpriced: a bill at
   another tier's price would be wrong in one direction or the other.
4. What decides is the moment when a call ended, as DeepSeek says of its off-peak hours; nobody else has any.

Everything that is configured is compiled when the book is made, models of the list when they are first asked for: a
lookup is two dictionary reads and one bisection.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from streamroute.core.cost.price import Price
from streamroute.core.upstream import ProviderName, TokenPrice, UpstreamId

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
    "fast": "priority",
    "performance": "priority",
}
"""Providers' words for a tier: OpenAI says `default` and `fast`, Groq `on_demand` and `performance`, Anthropic
`standard`."""
MAX_LISTED = 1000
"""Models whose prices are kept compiled that nobody has configured; clients can name models freely."""
_MINUTE_MS = 60_000
_DAY_MINUTES = 1440


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
    listed: TokenPrice
    """The same as it was written down."""
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


class PriceList(Protocol):
    """Prices that somebody else keeps, of more models than anyone uses."""

    def lines(self, provider: ProviderName, model: str) -> Sequence[DatedPrice]:
        """Return all prices of a model, none where it is not known."""


class Shelf:
    """Price lines, compiled."""

    def __init__(self, prices: Iterable[DatedPrice] = ()) -> None:
        """Compile; raises ValueError for a price with too many decimals."""
        self._starts: dict[tuple[Subject, Tier], list[int]] = {}
        self._periods: dict[tuple[Subject, Tier], list[_Period]] = {}
        # At one moment the price for all day comes first: it begins the period in which the hours are.
        for each in sorted(prices, key=lambda price: (price.since_ms, price.hours is not None)):
            self._add(each)

    def find(self, upstream: UpstreamId, provider: ProviderName, model: str, tier: Tier, at_ms: int) -> Quote | None:
        """Return the price that is valid at `at_ms`."""
        return self._at((upstream, tier), at_ms) or self._at(((provider, model), tier), at_ms)

    def _add(self, line: DatedPrice) -> None:
        key = (line.subject, line.tier)
        starts, periods = self._starts.setdefault(key, []), self._periods.setdefault(key, [])
        if not starts or starts[-1] != line.since_ms:
            before = periods[-1] if periods else _Period()
            starts.append(line.since_ms)
            periods.append(_Period(before.all_day, dict(before.hours)))
        quote = Quote(Price.of(line.price), line.price, line.source)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotPrices:
    """What a feed said last."""

    name: str
    shelf: Shelf
    stale_at_ms: int
    """From then on its prices are marked as stale."""
    until_ms: int | None
    """From then on they are not used; None: they are, stale as they are."""

    def find(self, upstream: UpstreamId, provider: ProviderName, model: str, tier: Tier, at_ms: int) -> Quote | None:
        """Return its price, as long as that counts."""
        if self.until_ms is not None and at_ms >= self.until_ms:
            return None
        quote = self.shelf.find(upstream, provider, model, tier, at_ms)
        if quote is None or at_ms < self.stale_at_ms:
            return quote
        return replace(quote, source=f"{quote.source} (stale)")


class PriceBook:
    """All prices that are known."""

    def __init__(self, prices: Iterable[DatedPrice] = (), *, listed: PriceList | None = None) -> None:
        """Compile what is configured; raises ValueError for a price with too many decimals."""
        self._own = Shelf(prices)
        self._listed = listed
        self._shelves: dict[tuple[ProviderName, str], Shelf] = {}
        self.spot: Sequence[SpotPrices] = ()
        """Replaced as a whole when a feed says something new. The first one that knows a price is right."""

    def find(
        self, upstream: UpstreamId, provider: ProviderName, model: str, tier: str | None, at_ms: int
    ) -> Quote | None:
        """Return the price of a call that ended at `at_ms`, None where nobody knows it. `tier` as the provider said."""
        known = TIERS.get(tier)
        if known is None:
            return None
        for spot in self.spot:
            quote = spot.find(upstream, provider, model, known, at_ms)
            if quote is not None:
                return quote
        return self.settled(upstream, provider, model, known, at_ms)

    def settled(self, upstream: UpstreamId, provider: ProviderName, model: str, tier: Tier, at_ms: int) -> Quote | None:
        """Return the price that feeds have no say in."""
        quote = self._own.find(upstream, provider, model, tier, at_ms)
        if quote is None and self._listed is not None:
            quote = self._shelf(self._listed, provider, model).find(upstream, provider, model, tier, at_ms)
        return quote

    def _shelf(self, listed: PriceList, provider: ProviderName, model: str) -> Shelf:
        shelf = self._shelves.get((provider, model))
        if shelf is None:
            if len(self._shelves) >= MAX_LISTED:
                self._shelves.clear()
            shelf = self._shelves[provider, model] = Shelf(listed.lines(provider, model))
        return shelf
