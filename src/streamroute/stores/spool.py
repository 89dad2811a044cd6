"""Entries on disk while the database is not to be had.

Rules of the file:

1. What `append` has returned from is on the disk.
2. Files of processes that are gone are taken over. Reading one twice does no harm: an entry is written once however
   often it comes.
3. A line that cannot be read is passed over and counted.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from streamroute.core.cost.entry import Entry
from streamroute.errors import StoreError
from streamroute.stores.spool_file import PATTERN, SpoolFile, lines_of

MAX_BYTES = 256 << 20
"""256 MiB: some 400,000 entries, half an hour at a hundred requests a second."""
CHUNK = 500


class Spool:
    """Keeps entries. `append` may be called from any thread, all else from one."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
        """Take over what was left in `folder`; nothing is created before it is needed."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._own: SpoolFile | None = None
        found = (SpoolFile.take_over(path) for path in sorted(folder.glob(PATTERN)))
        self._left = [file for file in found if file is not None]
        self._reading: SpoolFile | None = None
        self.entries = 0
        """Own ones that wait."""
        self.unreadable = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self.entries and not self._left

    @property
    def has_heirlooms(self) -> bool:
        """Whether something waits that another process has left."""
        return bool(self._left)

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries and wait for the disk; raises StoreError, and then none was added."""
        data = lines_of(entries)
        with self._lock:
            try:
                file = self._own = self._own or SpoolFile.create(self._folder)
                if file.size_bytes + len(data) > self._max_bytes:
                    raise StoreError(f"the spool holds all the {self._max_bytes} bytes that it may")
                file.append(data)
            except OSError as error:
                reason = error.strerror or str(error)
                raise StoreError(f"the spool in {self._folder} cannot be written: {reason}") from error
            self.entries += len(entries)

    def oldest(self) -> list[Entry]:
        """Return entries that wait, at most `CHUNK`, none where nothing does; they stay until `forget`."""
        entries: list[Entry] = []
        while not entries and not self.is_empty:
            with self._lock:
                file = self._reading = self._left[0] if self._left else self._own
                if file is None:
                    break
                entries, unreadable = file.read(CHUNK)
            self.unreadable += unreadable
            if not entries:
                self.forget(0)
        return entries

    def forget(self, count: int) -> None:
        """Drop the `count` entries that `oldest` returned: they are in the database."""
        with self._lock:
            file = self._reading
            if file is None:
                return
            is_own = file is self._own
            self.entries -= count if is_own else 0
            if not file.done():
                return
            if is_own:
                file.empty()
                self.entries = 0
            else:
                self._left.remove(file)
                file.close(is_kept=False)

    def close(self) -> None:
        """Let go of all files; those with entries stay for the next start."""
        with self._lock:
            for file in self._left:
                file.close(is_kept=True)
            if self._own is not None:
                self._own.close(is_kept=self.entries > 0)
            self._left, self._own, self._reading = [], None, None
