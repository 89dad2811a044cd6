"""What upstreams cost now: the one answer for accounting, steering, the budgets of hedges and of probes.

Accounting asks the book of the moment when a call ended. What ranks and throttles goes by `Upstream.price`, which is
set from the same book whenever a price changes: nothing is looked up on the way of a request.
"""

from collections.abc import Mapping
from dataclasses import replace

from streamroute.core.cost.price_book import PriceBook
from streamroute.core.upstream import Upstream, UpstreamId


def priced_at(upstreams: Mapping[UpstreamId, Upstream], book: PriceBook, at_ms: int) -> dict[UpstreamId, Upstream]:
    """Return the upstreams, each with the standard price that it has at `at_ms`; the same ones where none changed."""
    priced = {}
    for name, upstream in upstreams.items():
        quote = book.find(name, upstream.provider, upstream.model, None, at_ms)
        price = None if quote is None else quote.listed
        priced[name] = upstream if price == upstream.price else replace(upstream, price=price)
    return priced
