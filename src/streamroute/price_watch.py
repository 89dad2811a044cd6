"""The prices of a running sidecar: the book, the feeds that write into it, and the clock by which prices change.

Everything is worked out off the way of requests. Accounting asks the book; what steers goes by the upstreams' own
`price`, which is set anew whenever a feed says something, a price list changes at a date or an hour, or a feed's
prices grow too old.
"""

from collections.abc import Callable, Mapping, Sequence

import anyio

from streamroute.clock import wall
from streamroute.config.model import Config
from streamroute.config.prices import price_book
from streamroute.core.cost.feed_figures import FeedFigures
from streamroute.core.cost.price_book import DatedPrice
from streamroute.core.cost.price_now import priced_at
from streamroute.core.cost.spot import absurdity
from streamroute.core.upstream import Upstream, UpstreamId
from streamroute.feeds.feed_watch import FeedWatch

_MINUTE_MS = 60_000
"""Price lists change at whole minutes."""


class PriceWatch:
    """Knows all prices. `open` it, then let `run` and `feeds.run` run in tasks of its owner."""

    def __init__(self, config: Config, changed: Callable[[], None]) -> None:
        """`changed` is called when upstreams may have other prices than `priced` said last."""
        self._config = config
        self._changed = changed
        self.book = price_book(config)
        self.feeds = FeedWatch(config.price_feeds, object_to=self._absurdity, changed=self._heard)

    async def open(self) -> None:
        """Read all feeds, for as long as a start may take."""
        await self.feeds.open()

    async def run(self) -> None:
        """Follow the clock until cancelled."""
        while True:
            await anyio.sleep(self._until_next_change_s())
            self.feeds.note_ages()
            self._changed()

    def apply(self, config: Config) -> None:
        """Go by another configuration; what feeds have said stays, as far as they are still followed."""
        self._config = config
        self.book = price_book(config)
        self.feeds.apply(config.price_feeds)
        self.book.spot = self.feeds.prices()

    def priced(self, upstreams: Mapping[UpstreamId, Upstream]) -> dict[UpstreamId, Upstream]:
        """Return the upstreams with the prices of this moment."""
        return priced_at(upstreams, self.book, _now_ms())

    def figures(self) -> list[FeedFigures]:
        """Return how the feeds fare."""
        return self.feeds.figures()

    async def aclose(self) -> None:
        """Close what is open."""
        await self.feeds.aclose()

    def _heard(self) -> None:
        self.book.spot = self.feeds.prices()
        self._changed()

    def _absurdity(self, lines: Sequence[DatedPrice]) -> str | None:
        return absurdity(lines, self.book, self._config.upstreams, _now_ms())

    def _until_next_change_s(self) -> float:
        now_ms = _now_ms()
        next_ms = now_ms - now_ms % _MINUTE_MS + _MINUTE_MS
        change_ms = self.feeds.next_change_ms(now_ms)
        # A millisecond later, for sleep may end a little early.
        return (min(next_ms, change_ms or next_ms) - now_ms + 1) / 1000


def _now_ms() -> int:
    return int(wall() * 1000)
