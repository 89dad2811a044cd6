"""One feed of live prices: read again and again; what was last believed counts until it is too old."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiohttp
import structlog

from streamroute.clock import wall
from streamroute.core.cost.feed_figures import FeedFigures, FeedState
from streamroute.core.cost.price_book import DatedPrice, Shelf, SpotPrices
from streamroute.errors import FeedError
from streamroute.feeds.document import read_document
from streamroute.feeds.options import FeedOptions
from streamroute.feeds.source import read_source

Objection = Callable[[Sequence[DatedPrice]], str | None]
"""Says why prices cannot be believed, None where they can."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Heard:
    as_of_ms: int
    lines: Sequence[DatedPrice]
    shelf: Shelf


class PriceFeed:
    """Reads one feed."""

    def __init__(self, options: FeedOptions, object_to: Objection) -> None:
        self.options = options
        self._object_to = object_to
        self._heard: _Heard | None = None
        self._accepted = self._refused = self._unreachable = 0
        self._trouble: str | None = None
        self._was_stale = False

    async def read(self, session: aiohttp.ClientSession) -> bool:
        """Read once; return whether its prices are new ones. Trouble is logged when it begins, changes and ends."""
        try:
            heard = self._taken(await read_source(self.options.url, session))
        except FeedError as error:
            if error.is_refused:
                self._refused += 1
            else:
                self._unreachable += 1
            self._note(str(error))
            return False
        except Exception as error:  # noqa: BLE001 - a defect of ours in reading a feed must not end the process
            _log.exception("price_feed.broke", feed=self.options.name)
            self._refused += 1
            self._note(f"reading it failed: {type(error).__name__}")
            return False
        self._accepted += 1
        self._note(None)
        before, self._heard = self._heard, heard
        return before is None or (before.as_of_ms, before.lines) != (heard.as_of_ms, heard.lines)

    def prices(self) -> SpotPrices | None:
        """Return what counts; None: nothing was ever heard."""
        if self._heard is None:
            return None
        stale_at_ms, until_ms = self._limits(self._heard)
        return SpotPrices(name=self.options.name, shelf=self._heard.shelf, stale_at_ms=stale_at_ms, until_ms=until_ms)

    def next_change_ms(self, now_ms: int) -> int | None:
        """Return when its prices become stale or cease to count, if nothing new is heard."""
        limits = () if self._heard is None else self._limits(self._heard)
        return min((each for each in limits if each is not None and each > now_ms), default=None)

    def note_age(self) -> None:
        """Log once that its prices have become stale."""
        figures = self.figures()
        is_stale = figures.state in {"stale", "unused"}
        if is_stale and not self._was_stale:
            _log.warning(
                "price_feed.stale", feed=figures.name, age_s=figures.age_s, stale_action=self.options.stale_action
            )
        self._was_stale = is_stale

    def figures(self) -> FeedFigures:
        """Return how it fares."""
        heard, now_ms = self._heard, int(wall() * 1000)
        return FeedFigures(
            name=self.options.name,
            state=self._state(now_ms),
            as_of_ms=None if heard is None else heard.as_of_ms,
            age_s=None if heard is None else max(0.0, (now_ms - heard.as_of_ms) / 1000),
            prices=0 if heard is None else len(heard.lines),
            accepted=self._accepted,
            refused=self._refused,
            unreachable=self._unreachable,
            trouble=self._trouble,
        )

    def _state(self, now_ms: int) -> FeedState:
        if self._heard is None:
            return "silent"
        stale_at_ms, until_ms = self._limits(self._heard)
        if until_ms is not None and now_ms >= until_ms:
            return "unused"
        return "stale" if now_ms >= stale_at_ms else "fresh"

    def _limits(self, heard: _Heard) -> tuple[int, int | None]:
        max_age_ms = round(self.options.max_age_s * 1000)
        until_ms = heard.as_of_ms + 2 * max_age_ms if self.options.stale_action == "fall_back" else None
        return heard.as_of_ms + max_age_ms, until_ms

    def _taken(self, body: bytes) -> _Heard:
        as_of_ms, lines = read_document(body, source=f"feed {self.options.name}", now_s=wall())
        if self._heard is not None and as_of_ms < self._heard.as_of_ms:
            raise FeedError("it is older than what was read before", is_refused=True)
        objection = self._object_to(lines)
        if objection is not None:
            raise FeedError(objection, is_refused=True)
        return _Heard(as_of_ms, lines, Shelf(lines))

    def _note(self, trouble: str | None) -> None:
        if trouble is None:
            if self._trouble is not None:
                _log.info("price_feed.recovered", feed=self.options.name)
        elif trouble != self._trouble:
            _log.warning("price_feed.trouble", feed=self.options.name, reason=trouble)
        self._trouble = trouble
