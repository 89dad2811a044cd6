"""Reads the keys of a ledger's database without changing or creating anything in it."""

import threading
from pathlib import Path

from sqlalchemy import Engine, func, inspect, select
from sqlalchemy.engine import make_url

from streamroute.core.cost.client_key import ClientKey
from streamroute.core.cost.key_ring import NO_KEYS, KeyRing
from streamroute.errors import StoreError
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.key_cache import KeyCache
from streamroute.stores.keys import read_keys
from streamroute.stores.options import LedgerOptions
from streamroute.stores.schema import KEYS


class KeyReader:
    """Used by one thread at a time, but for `close`."""

    def __init__(self, options: LedgerOptions) -> None:
        """`options` name a database."""
        if options.url is None:
            raise ValueError("there is no ledger that could hold keys")
        self._url = options.url
        self._cache = None if options.spool_dir is None else KeyCache(options.url, options.spool_dir)
        self._engine: Engine | None = None
        self._seen: tuple[int, int] | None = None
        self._looking = threading.Lock()
        self._is_closed = False

    @property
    def has_read(self) -> bool:
        """There is a table of keys, and it was read."""
        return self._seen is not None

    def look(self) -> tuple[KeyRing | None, str | None]:
        """Return all keys, None where there is no news of them, and what the trouble is. Never raises."""
        with self._looking:
            found = self._look()
        if self._is_closed:
            self._disconnect()
        return found

    def _look(self) -> tuple[KeyRing | None, str | None]:
        try:
            keys = self.poll()
        except StoreError as error:
            return None, str(error)
        except Exception as error:  # noqa: BLE001 - a row that cannot be read must not end the watch over the others
            return None, f"{type(error).__name__}: {error}"[:200]
        if keys is None:
            return None, None
        if self._cache is not None:
            self._cache.save(keys)
        return KeyRing(keys), None

    def known_before(self) -> KeyRing:
        """Return the keys as they were last known on this machine."""
        return NO_KEYS if self._cache is None else KeyRing(self._cache.load())

    def poll(self) -> list[ClientKey] | None:
        """Return all keys, None where nothing has changed since the last time; raises StoreError."""
        if self._engine is None:
            if _is_absent(self._url):
                return None  # whoever writes entries is about to make it
            self._engine = open_engine(self._url, is_reader=True)
        with transaction(self._engine) as connection:
            if self._seen is None and not inspect(connection).has_table(KEYS.name):
                return None  # likewise
            count, writes = connection.execute(select(func.count(), func.sum(KEYS.c.writes))).one()
            seen = (int(count), int(writes or 0))
            if seen == self._seen:
                return None
            keys = read_keys(connection)
        self._seen = seen
        return keys

    def close(self) -> None:
        """Close the connection, at once or when the look that is under way in another thread ends; does not wait."""
        self._is_closed = True
        if self._looking.acquire(blocking=False):
            try:
                self._disconnect()
            finally:
                self._looking.release()

    def _disconnect(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


def _is_absent(url: str) -> bool:
    parts = make_url(url)
    return parts.get_backend_name() == "sqlite" and not Path(parts.database or "").is_file()
