"""One bidder: asked over HTTP while a request waits, so bounded in time, and left alone while it does not answer."""

import asyncio
from collections.abc import Collection

import aiohttp
import anyio
import structlog

from streamroute import __version__
from streamroute.core.upstream import UpstreamId
from streamroute.errors import FeedError
from streamroute.feeds.options import BidderOptions
from streamroute.wire.bids import MAX_BYTES, SaidBid, decode_bids

MAX_FAILURES = 3
"""In a row; after so many it is asked once in a while only: requests must not go on waiting for nothing."""
RETRY_AFTER_S = 1.0
EXCHANGE_S = 1.0
"""For one exchange, however long a request waits for it: what a TLS connection and a slow bidder take together."""
MAX_IN_FLIGHT = 64
"""Questions that it has not answered; further requests do without it."""

_log = structlog.get_logger(__name__)


class Bidder:
    """Asks one bidder. Times are monotonic seconds."""

    def __init__(self, options: BidderOptions) -> None:
        self.options = options
        self.asked = self.answered = self.late = self.broken = 0
        self.trouble: str | None = None
        self._failures = 0
        self._in_flight = 0
        self._retry_at = 0.0

    def is_due(self, at: float) -> bool:
        """Return whether it is worth asking."""
        if self._in_flight >= MAX_IN_FLIGHT:
            return False
        return self._failures < MAX_FAILURES or at >= self._retry_at

    async def ask(
        self,
        body: bytes,
        allowed: Collection[UpstreamId],
        session: aiohttp.ClientSession,
        tasks: asyncio.TaskGroup,
        at: float,
    ) -> dict[UpstreamId, SaidBid] | None:
        """Return its bids; None where they are late or broken. A late exchange is not given up at once, but goes on in
        `tasks`: the next request will be glad of its connection. Trouble is logged when it begins, changes and ends."""
        self.asked += 1
        self._retry_at = at + RETRY_AFTER_S
        job = tasks.create_task(self._exchange(body, allowed, session))
        done, _ = await asyncio.wait({job}, timeout=self.options.timeout_s)
        if not done or job.cancelled():
            self.late += 1
            self._note(f"no answer within {self.options.timeout_s * 1000:g} ms")
            return None
        found = job.result()
        if isinstance(found, str):
            self.broken += 1
            self._note(found)
            return None
        self.answered += 1
        self._note(None)
        return found

    async def _exchange(
        self, body: bytes, allowed: Collection[UpstreamId], session: aiohttp.ClientSession
    ) -> dict[UpstreamId, SaidBid] | str:
        """Return its bids, or what is wrong."""
        self._in_flight += 1
        try:
            with anyio.fail_after(EXCHANGE_S):
                return decode_bids(await self._fetch(body, session), allowed)
        except TimeoutError:
            return f"no answer within {EXCHANGE_S:g} s"
        except FeedError as error:
            return str(error)
        except (aiohttp.ClientError, OSError) as error:
            return f"it cannot be reached: {type(error).__name__}"
        except Exception as error:  # noqa: BLE001 - a defect of ours in asking must not end anything else
            _log.exception("bidder.broke", bidder=self.options.name)
            return f"asking it failed: {type(error).__name__}"
        finally:
            self._in_flight -= 1

    async def _fetch(self, body: bytes, session: aiohttp.ClientSession) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": f"streamroute/{__version__}"}
        # No redirects: who answers is who was configured.
        async with session.post(self.options.bid_url, data=body, headers=headers, allow_redirects=False) as reply:
            if reply.status != 200:
                raise FeedError(f"HTTP {reply.status}")
            found = bytearray()
            async for block in reply.content.iter_any():
                found += block
                if len(found) > MAX_BYTES:
                    break
            return bytes(found)

    def _note(self, trouble: str | None) -> None:
        self._failures = 0 if trouble is None else self._failures + 1
        if trouble is None and self.trouble is not None:
            _log.info("bidder.recovered", bidder=self.options.name)
        elif trouble is not None and trouble != self.trouble:
            _log.warning("bidder.trouble", bidder=self.options.name, reason=trouble)
        self.trouble = trouble
