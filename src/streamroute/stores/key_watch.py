"""The keys of a running sidecar: read at its start, and looked at again and again, off the event loop.

A request is checked against what was read last, so no request waits for a database, and while there is none the last
known keys go on working.
"""

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from sqlalchemy import Engine, func, inspect, select
from sqlalchemy.engine import make_url

from streamroute.clock import thread_now, wall
from streamroute.core.cost.client_key import ClientKey
from streamroute.core.cost.key_figures import KeyFigures
from streamroute.core.cost.key_ring import NO_KEYS, KeyRing
from streamroute.errors import StoreError
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.keys import read_keys
from streamroute.stores.schema import KEYS

POLL_S = 1.0
"""A key that is revoked works for so long at most, and the time of a query: half of the two seconds that operators are
promised. A look costs one sum over a small table."""
SILENT_AFTER_S = 10.0
"""A database that has not answered for so long is in trouble, also where no error came: some ten looks."""

_log = structlog.get_logger(__name__)


class KeyReader:
    """Reads keys without changing or creating anything. Used by one thread at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._engine: Engine | None = None
        self._seen: tuple[int, int] | None = None

    def poll(self) -> list[ClientKey] | None:
        """Return all keys, None where nothing has changed since the last time; raises StoreError."""
        if self._engine is None:
            if _is_absent(self._url):
                return None if self._seen is None else self._changed((0, 0), [])
            self._engine = open_engine(self._url, is_reader=True)
        with transaction(self._engine) as connection:
            if self._seen is None and not inspect(connection).has_table(KEYS.name):
                return None  # whoever writes entries is about to make it
            count, writes = connection.execute(select(func.count(), func.sum(KEYS.c.writes))).one()
            seen = (int(count), int(writes or 0))
            return None if seen == self._seen else self._changed(seen, read_keys(connection))

    def close(self) -> None:
        """Close the connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _changed(self, seen: tuple[int, int], keys: list[ClientKey]) -> list[ClientKey]:
        self._seen = seen
        return keys


class KeyWatch:
    """Knows all keys. `refresh` once, then let `run` run in a task of its owner."""

    def __init__(self, url: str | None) -> None:
        """`url` names the ledger's database; None: there is none, and so there are no keys."""
        self._reader = None if url is None else KeyReader(url)
        self._listeners: list[Callable[[KeyRing], None]] = []
        self._trouble: str | None = None
        self._answered_at = thread_now()
        self.ring = NO_KEYS
        """As last read."""

    def on_change(self, listener: Callable[[KeyRing], None]) -> None:
        """Tell `listener` of every new ring, on the event loop, and of the present one now."""
        self._listeners.append(listener)
        listener(self.ring)

    async def run(self) -> None:
        """Look until cancelled."""
        while self._reader is not None:
            await anyio.sleep(POLL_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Look once; trouble is kept for `figures`."""
        if self._reader is None:
            return
        try:
            # A database that does not answer must not keep the process from ending.
            keys = await anyio.to_thread.run_sync(self._reader.poll, abandon_on_cancel=True)
        except StoreError as error:
            self._in_trouble(str(error))
            return
        except Exception as error:  # noqa: BLE001 - a row that cannot be read must not end the watch over the others
            self._in_trouble(f"{type(error).__name__}: {error}"[:200])
            return
        if self._trouble is not None:
            _log.info("keys.recovered")
        self._trouble, self._answered_at = None, thread_now()
        if keys is not None:
            self.ring = KeyRing(keys)
            for listener in self._listeners:
                listener(self.ring)

    def figures(self) -> KeyFigures | None:
        """Return how the keys fare; None where there can be none."""
        if self._reader is None:
            return None
        now_ms = int(wall() * 1000)
        silent_s = thread_now() - self._answered_at
        silence = f"the database has not answered for {silent_s:.0f} s" if silent_s > SILENT_AFTER_S else None
        return KeyFigures(
            live=self.ring.count("live", now_ms),
            expired=self.ring.count("expired", now_ms),
            revoked=self.ring.count("revoked", now_ms),
            trouble=self._trouble or silence,
        )

    async def aclose(self) -> None:
        """Close the connection."""
        if self._reader is not None:
            await anyio.to_thread.run_sync(self._reader.close, abandon_on_cancel=True)

    def _in_trouble(self, reason: str) -> None:
        if self._trouble is None:
            _log.error("keys.trouble", reason=reason)
        self._trouble = reason


def _is_absent(url: str) -> bool:
    parts = make_url(url)
    return parts.get_backend_name() == "sqlite" and not Path(parts.database or "").is_file()
