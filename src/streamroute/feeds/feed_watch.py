"""All price feeds of a running sidecar: each in a task of its own, so that a slow one keeps no other waiting."""

from collections.abc import Callable, Sequence

import aiohttp
import anyio
import anyio.abc

from streamroute.core.cost.feed_figures import FeedFigures
from streamroute.core.cost.price_book import SpotPrices
from streamroute.feeds.options import FeedOptions
from streamroute.feeds.price_feed import Objection, PriceFeed

FIRST_READ_S = 2.0
"""How long a start may wait for its feeds: answers do not need them."""


class FeedWatch:
    """Reads feeds. `open` it, then let `run` run in a task of its owner."""

    def __init__(self, feeds: Sequence[FeedOptions], *, object_to: Objection, changed: Callable[[], None]) -> None:
        """`changed` is called whenever a feed has said something new."""
        self._object_to = object_to
        self._changed = changed
        self._feeds = {each: PriceFeed(each, object_to) for each in feeds}
        self._scopes: dict[FeedOptions, anyio.CancelScope] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Read all for the first time, for as long as a start may take."""
        with anyio.move_on_after(FIRST_READ_S):
            async with anyio.create_task_group() as group:
                for feed in self._feeds.values():
                    group.start_soon(self._read, feed)

    async def run(self) -> None:
        """Read until cancelled."""
        async with anyio.create_task_group() as group:
            self._group = group
            for feed in self._feeds.values():
                group.start_soon(self._follow, feed)
            await anyio.sleep_forever()

    def apply(self, feeds: Sequence[FeedOptions]) -> None:
        """Follow these feeds from now on; what was heard of one that stays as it is stays too."""
        kept = {each: self._feeds[each] for each in feeds if each in self._feeds}
        new = {each: PriceFeed(each, self._object_to) for each in feeds if each not in kept}
        for gone in self._feeds.keys() - kept.keys():
            scope = self._scopes.pop(gone, None)
            if scope is not None:
                scope.cancel()
        self._feeds = {each: (kept | new)[each] for each in feeds}
        if self._group is not None:
            for feed in new.values():
                self._group.start_soon(self._follow, feed)

    def prices(self) -> tuple[SpotPrices, ...]:
        """Return what every feed has said last, in the order of the configuration."""
        return tuple(prices for feed in self._feeds.values() if (prices := feed.prices()) is not None)

    def next_change_ms(self, now_ms: int) -> int | None:
        """Return when prices become stale or cease to count next."""
        changes = [feed.next_change_ms(now_ms) for feed in self._feeds.values()]
        return min((each for each in changes if each is not None), default=None)

    def note_ages(self) -> None:
        """Log of which feeds the prices have become stale."""
        for feed in self._feeds.values():
            feed.note_age()

    def figures(self) -> list[FeedFigures]:
        """Return how they fare."""
        return [feed.figures() for feed in self._feeds.values()]

    async def aclose(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()

    async def _follow(self, feed: PriceFeed) -> None:
        with anyio.CancelScope() as scope:
            self._scopes[feed.options] = scope
            if feed.figures().accepted:
                await anyio.sleep(feed.options.poll_interval_s)
            while True:
                await self._read(feed)
                await anyio.sleep(feed.options.poll_interval_s)

    async def _read(self, feed: PriceFeed) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        if await feed.read(self._session):
            self._changed()
