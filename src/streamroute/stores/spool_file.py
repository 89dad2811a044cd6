"""One file of a spool: lines of JSON, locked by the process it belongs to, read from its beginning."""

import contextlib
import os
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import orjson

from streamroute.core.cost.entry import AttemptEntry, Entry, RequestEntry

if sys.platform != "win32":
    import fcntl

PATTERN = "ledger-spool-*.jsonl"
_KINDS: dict[str, type[Entry]] = {"attempt": AttemptEntry, "request": RequestEntry}
_NAME_OF = {kind: name for name, kind in _KINDS.items()}
_TRIES = 5


class SpoolFile:
    """A file that this process holds the lock of."""

    def __init__(self, path: Path, handle: BinaryIO) -> None:
        self._path = path
        self._handle = handle
        self._read_to = 0
        self._next = 0

    @classmethod
    def create(cls, folder: Path) -> "SpoolFile":
        """Make a new one; raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            path = folder / PATTERN.replace("*", uuid.uuid4().hex)
            handle = path.open("xb+")
            if _lock(handle) and os.fstat(handle.fileno()).st_nlink:
                return cls(path, handle)
            handle.close()  # somebody took it for one that was left behind
        raise FileExistsError(None, "others take every new file away")

    @classmethod
    def take_over(cls, path: Path) -> "SpoolFile | None":
        """Open one that a process has left behind; None where it still belongs to one, or cannot be opened."""
        try:
            handle = path.open("rb+")
        except OSError:
            return None
        if _lock(handle):
            return cls(path, handle)
        handle.close()
        return None

    @property
    def size_bytes(self) -> int:
        """Its size."""
        return self._handle.seek(0, os.SEEK_END)

    def append(self, data: bytes) -> None:
        """Write and wait for the disk; raises OSError, and then nothing was added."""
        end = self.size_bytes
        try:
            self._handle.write(data)
            self._handle.flush()
            os.fsync(self._handle.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._handle.truncate(end)
            raise

    def read(self, limit: int) -> tuple[list[Entry], int]:
        """Return the next entries, and how many lines were passed over; the same ones again until `done`."""
        self._handle.seek(self._read_to)
        entries: list[Entry] = []
        unreadable = 0
        for _ in range(limit):
            line = self._handle.readline()
            if not line:
                break
            entry = _entry(line)
            if entry is None:
                unreadable += 1
            else:
                entries.append(entry)
        self._next = self._handle.tell()
        return entries, unreadable

    def done(self) -> bool:
        """Go on behind what was read; return whether that was the last of it."""
        self._read_to = self._next
        return self._read_to >= self.size_bytes

    def empty(self) -> None:
        """Begin anew."""
        self._handle.truncate(0)
        self._read_to = self._next = 0

    def close(self, *, is_kept: bool) -> None:
        """Let go of it, and remove it unless it `is_kept`."""
        with contextlib.suppress(OSError):
            if not is_kept:
                self._path.unlink(missing_ok=True)
            self._handle.close()


def lines_of(entries: Sequence[Entry]) -> bytes:
    """Return entries as they stand in the file."""
    return b"".join(orjson.dumps([_NAME_OF[type(each)], asdict(each)]) + b"\n" for each in entries)


def _entry(line: bytes) -> Entry | None:
    """Return what a line says; None where a crash cut it, or somebody else wrote it."""
    try:
        name, values = orjson.loads(line)
        return _KINDS[name](**values)
    except (ValueError, TypeError, KeyError):
        return None


def _lock(handle: BinaryIO) -> bool:
    if sys.platform != "win32":  # there, what is open cannot be removed, which serves as well
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
