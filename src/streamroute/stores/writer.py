"""Takes entries from the event loop to the database, in threads of their own.

    record ── queue, bounded ──▶ writer ──▶ database
                         │         └──▶ spool on disk, while the database is not to be had ──▶ database
                         └──▶ keeper ──▶ spool, where the database takes its time over a write

Rules of the file:

1. `record` never waits for the database. With `flush_interval_s` 0 it waits for the spool, which then serves as the
   journal of what is on its way; otherwise for nothing.
2. A batch that the database does not take goes to the spool at once; as long as there is trouble, so do all others.
   The spool is emptied oldest first, tried again after a wait that doubles.
3. Nothing may keep entries in memory for longer than the interval: no write that takes long (a first migration, a
   lock, a network), and no row of writes. The keeper looks eight times an interval, and puts on disk what has waited in
   the queue for three looks, and what a write has in hand since the look before. That is three quarters of the interval
   at most; the rest is for the disk. Written twice, an entry counts once.
4. Where the spool has no room entries stay in the queue, and where that has none they are counted as dropped.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import structlog

from streamroute.clock import thread_now, wall
from streamroute.core.cost.entry import Entry
from streamroute.core.cost.ledger_figures import LedgerFigures
from streamroute.errors import StoreError
from streamroute.stores.spool import CHUNK, Spool

MAX_WAITING = 50_000
"""Entries in memory, some 50 MB: ten seconds of 5,000 a second."""
FIRST_RETRY_S = 0.25
MAX_RETRY_S = 15.0
"""So long at most is a database that is back not noticed."""
DEFAULT_INTERVAL_S = 0.5
"""Where entries only wait in memory because the spool cannot take them."""
TIDY_EVERY_S = 3600.0
"""Whole days go, so that once a day would do; once an hour, whatever the time of the start was."""
LOOKS = 8
"""In an interval."""
SLOW = 4 * LOOKS
"""Looks, two seconds: a disk that is busy for a moment is no trouble."""
PATIENCE = 3
"""Looks; the writer comes by after two."""

_log = structlog.get_logger(__name__)


class EntryStore(Protocol):
    """Where entries end up: a `Ledger`."""

    def write(self, entries: Sequence[Entry]) -> int:
        """Write all; return how many were refused. Raises StoreError where none can be written now."""

    def tidy(self, now_ms: int) -> bool:
        """Take a few out that are too old; return whether there are more. Raises StoreError."""

    def close(self) -> None:
        """Close the connection."""


class LedgerWriter:
    """Writes what is recorded until it is closed."""

    def __init__(
        self, store: EntryStore, spool: Spool, *, flush_interval_s: float, max_waiting: int = MAX_WAITING
    ) -> None:
        """`flush_interval_s`: how long an entry may wait in memory; 0: it is on disk when `record` returns."""
        self._store = store
        self._spool = spool
        self._flush_interval_s = flush_interval_s
        self._max_waiting = max_waiting
        self._queue: deque[Entry] = deque()
        self._in_hand: list[Entry] = []
        """Of the write that is under way."""
        self._hand = threading.Lock()
        self._is_kept = False
        """The keeper has put them on disk."""
        self._in_hand_before: list[Entry] = []
        self._looks = 0
        """In which a write has had the same in hand."""
        self._recorded = 0
        self._recorded_before: deque[int] = deque(maxlen=PATIENCE)
        self._look_s = (flush_interval_s or DEFAULT_INTERVAL_S) / LOOKS
        self._wake = threading.Event()
        self._is_over = threading.Event()
        self._is_closing = False
        self._written = self._refused = self._dropped = 0
        self._has_written = False
        self._trouble: str | None = None
        self._spool_trouble: str | None = None
        self._retry_s = FIRST_RETRY_S
        self._retry_at = 0.0
        self._tidy_at = thread_now()
        # They must not keep a process.
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._keeper = threading.Thread(target=self._keep, name="ledger-keeper", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()
        self._keeper.start()

    def record(self, entry: Entry) -> None:
        """Take an entry."""
        if self._flush_interval_s == 0:
            try:
                self._spool.append([entry])
            except StoreError as error:
                self._spool_trouble = str(error)
            else:
                self._wake.set()
                return
        if len(self._queue) >= self._max_waiting:
            self._dropped += 1
            return
        self._queue.append(entry)
        self._recorded += 1

    @property
    def has_taken_over(self) -> bool:
        """The database was to be had, and all that other processes had left for it is in it."""
        return self._has_written and not self._spool.has_heirlooms

    def close(self, timeout_s: float) -> None:
        """Write what there is, to the database or else to the spool; returns after `timeout_s` at the latest."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            _log.error("ledger.left_behind", entries=len(self._queue), trouble=self._trouble)

    def figures(self) -> LedgerFigures:
        """Return the figures as they stand."""
        return LedgerFigures(
            waiting=len(self._queue) + len(self._in_hand),
            spooled=self._spool.entries,
            written=self._written,
            refused=self._refused + self._spool.unreadable,
            dropped=self._dropped,
            trouble="; ".join(each for each in (self._trouble, self._spool_trouble) if each) or None,
        )

    # -- in the thread

    def _run(self) -> None:
        try:
            self._written_now([])  # opens the database: `/readyz` tells of trouble before the first call
        except Exception as error:  # noqa: BLE001 - as below
            self._in_trouble(f"{type(error).__name__}: {error}"[:200])
            _log.exception("ledger.broke")
        while True:
            is_last = self._is_closing
            self._wake.clear()
            try:
                self.flush(is_last=is_last)
                self._tidy()
            except Exception as error:  # noqa: BLE001 - a defect of ours must not end the writing of what comes after
                with self._hand:
                    self._queue.extendleft(reversed(self._in_hand))
                    self._in_hand = []
                self._in_trouble(f"{type(error).__name__}: {error}"[:200])
                _log.exception("ledger.broke")
            if is_last:
                break
            if not self._is_closing:
                self._wake.wait(2 * self._look_s)
        self._is_over.set()
        self._keeper.join()
        self._spool.close()
        self._store.close()

    def _keep(self) -> None:
        while not self._is_over.wait(self._look_s):
            self.look()

    def look(self) -> None:
        """Put on disk what has been in memory for too many looks."""
        with self._hand:
            self._looks = self._looks + 1 if self._in_hand and self._in_hand is self._in_hand_before else 0
            if self._looks and not self._is_kept:
                self._is_kept = self._spooled(self._in_hand)
            if self._looks == SLOW:
                self._in_trouble("a write takes long")
            self._in_hand_before = self._in_hand
        recorded = self._recorded
        has_left = recorded - len(self._queue)
        if len(self._recorded_before) == PATIENCE and has_left < self._recorded_before[0]:
            self._keep_queue()
        self._recorded_before.append(recorded)

    def _keep_queue(self) -> None:
        while batch := self._taken():
            if not self._spooled(batch):
                self._queue.extendleft(reversed(batch))
                break

    def flush(self, *, is_last: bool = False) -> None:
        """Write what is there; in trouble, put it on disk. `is_last`: try the database even so."""
        may_try = self._drain(may_try=is_last or self._trouble is None or thread_now() >= self._retry_at)
        while may_try and (is_last or not self._is_closing) and (entries := self._spool.oldest()):
            if not self._written_now(entries):
                return
            self._spool.forget(len(entries))
            may_try = self._drain(may_try=True)  # a long spool must not keep new entries in memory

    def _tidy(self) -> None:
        """When it is time, have a few old entries taken out; soon again while there are more."""
        if self._trouble is not None or self._is_closing or thread_now() < self._tidy_at:
            return
        is_more = False
        with contextlib.suppress(StoreError):  # whatever it is, the next write tells it
            is_more = self._store.tidy(int(wall() * 1000))
        self._tidy_at = thread_now() + (0.0 if is_more else TIDY_EVERY_S)

    def _drain(self, *, may_try: bool) -> bool:
        """Empty the queue, into the database where it `may_try` that; return whether it may be tried further."""
        while batch := self._taken():
            self._in_hand, self._is_kept = batch, False
            if not (may_try and self._written_now(batch)):
                may_try = False
                with self._hand:
                    is_kept = self._is_kept or self._spooled(batch)
                    self._in_hand = []
                if not is_kept:
                    self._queue.extendleft(reversed(batch))
                    break
            self._in_hand = []
        return may_try

    def _taken(self) -> list[Entry]:
        """Take the oldest from the queue, `CHUNK` at most; both threads do."""
        batch: list[Entry] = []
        with contextlib.suppress(IndexError):
            while len(batch) < CHUNK:
                batch.append(self._queue.popleft())
        return batch

    def _written_now(self, entries: Sequence[Entry]) -> bool:
        """Return whether the database has taken them."""
        try:
            refused = self._store.write(entries)
        except StoreError as error:
            self._in_trouble(str(error))
            self._retry_at = thread_now() + self._retry_s
            self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)
            return False
        with self._hand:
            is_kept, self._in_hand = self._is_kept and entries is self._in_hand, []
        self._written += 0 if is_kept else len(entries) - refused  # else they are counted when the spool is emptied
        self._refused += refused
        if refused:
            _log.error("ledger.entries_refused", entries=refused)
        if self._trouble is not None:
            _log.info("ledger.recovered", spooled=self._spool.entries)
        self._trouble = self._spool_trouble = None
        self._retry_s = FIRST_RETRY_S
        self._has_written = True
        return True

    def _spooled(self, entries: Sequence[Entry]) -> bool:
        """Return whether they are on disk."""
        try:
            self._spool.append(entries)
        except StoreError as error:
            if self._spool_trouble is None:
                _log.error("ledger.spool_trouble", reason=str(error))
            self._spool_trouble = str(error)
            return False
        self._spool_trouble = None
        return True

    def _in_trouble(self, reason: str) -> None:
        if self._trouble is None:
            _log.error("ledger.trouble", reason=reason)
        self._trouble = reason[:400]
