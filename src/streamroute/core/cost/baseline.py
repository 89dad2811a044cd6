"""The price that a report compares with: of an upstream, or of a model that nobody may ever have asked."""

from collections.abc import Callable, Mapping
from functools import cache

from streamroute.core.cost.price import Price
from streamroute.core.cost.price_book import PriceBook
from streamroute.core.upstream import ProviderName, Upstream, UpstreamId

_DAY_MS = 86_400_000
_NOON_MS = _DAY_MS // 2


def baseline_prices(
    name: str, book: PriceBook, upstreams: Mapping[UpstreamId, Upstream], today: int
) -> Callable[[int], Price | None]:
    """Return the standard price of `name` by day: the one in force at its noon (UTC), for sums of days know no hours.

    Raises ValueError where there is none `today`.
    """
    upstream = upstreams.get(UpstreamId(name))
    provider, _, model = name.partition("/")
    if upstream is not None:
        provider, model = upstream.provider, upstream.model

    @cache
    def on(day: int) -> Price | None:
        quote = book.find(UpstreamId(name), ProviderName(provider), model, None, day * _DAY_MS + _NOON_MS)
        return None if quote is None else quote.price

    if on(today) is None:
        raise ValueError(
            f"nobody knows the price of {name!r}: it is neither an upstream that has one nor provider/model with one "
            "in [[prices]] or a price list"
        )
    return on
