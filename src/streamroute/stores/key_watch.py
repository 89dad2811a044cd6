"""The keys of a running sidecar: read at its start, and looked at again and again, off the event loop.

A request is checked against what was read last, so no request waits for a database, and while there is none the last
known keys go on working; at a start without it, those that this machine knew before.
"""

from collections.abc import Callable

import anyio
import anyio.to_thread
import structlog

from streamroute.clock import thread_now, wall
from streamroute.core.cost.key_figures import KeyFigures
from streamroute.core.cost.key_ring import NO_KEYS, KeyRing
from streamroute.stores.key_reader import KeyReader
from streamroute.stores.options import LedgerOptions

POLL_S = 1.0
"""A key that is revoked works for so long at most, and the time of a query: half of the two seconds that operators are
promised. A look costs one sum over a small table."""
FIRST_LOOK_S = 5.0
"""How long a start may wait for the database: longer than it takes to connect, or to find out that nobody is there."""
SILENT_AFTER_S = 10.0
"""A database that has not answered for so long is in trouble, also where no error came: some ten looks."""

_log = structlog.get_logger(__name__)


class KeyWatch:
    """Knows all keys. `open` it, then let `run` run in a task of its owner."""

    def __init__(self, options: LedgerOptions) -> None:
        """`options` name the ledger's database; where there is none there are no keys."""
        self._options = options
        self._reader = None if options.url is None else KeyReader(options)
        self._listeners: list[Callable[[KeyRing], None]] = []
        self._trouble: str | None = None
        self._answered_at = thread_now()
        self.ring = NO_KEYS
        """As last read."""

    def on_change(self, listener: Callable[[KeyRing], None]) -> None:
        """Tell `listener` of every new ring, on the event loop, and of the present one now."""
        self._listeners.append(listener)
        listener(self.ring)

    async def open(self) -> None:
        """Look for the first time; where the database is not to be had, go by what was known before: a file that is
        not there may be on a disk that is not there yet."""
        if self._reader is None:
            return
        with anyio.move_on_after(FIRST_LOOK_S) as scope:
            await self.refresh()
        if scope.cancelled_caught:
            # The look goes on in its thread, and nobody hears what it finds: a reader of its own must look again.
            self._reader.close()
            self._reader = KeyReader(self._options)
            self._note(f"the database has not answered within {FIRST_LOOK_S:g} s")
        if not self._reader.has_read:
            self._take(await anyio.to_thread.run_sync(self._reader.known_before))

    async def run(self) -> None:
        """Look until cancelled."""
        while self._reader is not None:
            await anyio.sleep(POLL_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Look once; trouble is kept for `figures`."""
        if self._reader is None:
            return
        # A database that does not answer must not keep the process from ending.
        ring, trouble = await anyio.to_thread.run_sync(self._reader.look, abandon_on_cancel=True)
        self._note(trouble)
        if ring is not None:
            self._take(ring)

    def figures(self) -> KeyFigures | None:
        """Return how the keys fare; None where there can be none."""
        if self._reader is None:
            return None
        states = self.ring.states(int(wall() * 1000))
        silent_s = thread_now() - self._answered_at
        silence = f"the database has not answered for {silent_s:.0f} s" if silent_s > SILENT_AFTER_S else None
        return KeyFigures(
            live=states["live"],
            expired=states["expired"],
            revoked=states["revoked"],
            trouble=self._trouble or silence,
        )

    async def aclose(self) -> None:
        """Close the connection."""
        if self._reader is not None:
            await anyio.to_thread.run_sync(self._reader.close, abandon_on_cancel=True)

    def _note(self, trouble: str | None) -> None:
        if trouble is None:
            self._answered_at = thread_now()
            if self._trouble is not None:
                _log.info("keys.recovered")
        elif self._trouble is None:
            _log.error("keys.trouble", reason=trouble)
        self._trouble = trouble

    def _take(self, ring: KeyRing) -> None:
        if ring.keys or self.ring.keys:
            states = ring.states(int(wall() * 1000))
            _log.info("keys.changed", live=states["live"], expired=states["expired"], revoked=states["revoked"])
        self.ring = ring
        for listener in self._listeners:
            try:
                listener(ring)
            except Exception:  # noqa: BLE001 - the watch must go on: a key that is revoked later must not go on working
                _log.exception("keys.listener_failed", listener=repr(listener))
