"""What a feed may say: prices that are out of all proportion are a mistake, and nothing of such a list is believed.

A decimal point that has slipped, or dollars a token where a million tokens were meant, would steer all traffic to an
upstream or away from it, and would be believed by budgets.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal

from streamroute.core.cost.price_book import DatedPrice, PriceBook
from streamroute.core.upstream import TokenPrice, Upstream, UpstreamId

MAX_RATIO = 1000
"""Of a price to the one that is configured: spot prices move by tens, a million tokens are a thousand thousand."""


def absurdity(
    lines: Iterable[DatedPrice], book: PriceBook, upstreams: Mapping[UpstreamId, Upstream], at_ms: int
) -> str | None:
    """Return which price is more than `MAX_RATIO` times the one that would count without feeds, or so much less, for
    nothing becomes free by accident; None where none is."""
    models = {(each.provider, each.model): each for each in upstreams.values()}
    for line in lines:
        upstream = upstreams.get(line.subject) if isinstance(line.subject, str) else models.get(line.subject)
        if upstream is None:
            continue
        quote = book.settled(upstream.id, upstream.provider, upstream.model, line.tier, at_ms)
        if quote is not None and (found := _excess(line.price, quote.listed)) is not None:
            return f"{name_of(line)}: {found}"
    return None


def name_of(line: DatedPrice) -> str:
    """Return whose price it is, as people write it."""
    return line.subject if isinstance(line.subject, str) else "/".join(line.subject)


def _excess(price: TokenPrice, usual: TokenPrice) -> str | None:
    for field in fields(TokenPrice):
        new, known = getattr(price, field.name), getattr(usual, field.name)
        if not (isinstance(new, Decimal) and isinstance(known, Decimal) and known):
            continue
        if new > MAX_RATIO * known:
            return f"{field.name} {new} is more than {MAX_RATIO} times {known}, the price without the feed"
        if new * MAX_RATIO < known:
            return f"{field.name} {new} is less than a {MAX_RATIO}th of {known}, the price without the feed"
    return None
