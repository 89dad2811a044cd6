"""One file of a spool: lines of JSON, locked by the process it belongs to, read from its beginning."""

import contextlib
import os
import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from io import FileIO
from pathlib import Path

import orjson

from streamroute.core.cost.entry import AttemptEntry, Entry, QualityEntry, RequestEntry

if sys.platform != "win32":
    import fcntl

PATTERN = "ledger-spool-*.jsonl"
_KINDS: dict[str, type[Entry]] = {"attempt": AttemptEntry, "request": RequestEntry, "quality": QualityEntry}
_NAME_OF = {kind: name for name, kind in _KINDS.items()}
_TRIES = 5
_BLOCK_BYTES = 1 << 18
"""About one reading: 500 lines of 600 bytes."""


class SpoolFile:
    """A file that this process holds the lock of. Unbuffered: what a full disk refused must not be written later."""

    def __init__(self, path: Path, handle: FileIO) -> None:
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
            handle = path.open("xb+", buffering=0)
            if _lock(handle) and os.fstat(handle.fileno()).st_nlink:
                return cls(path, handle)
            handle.close()  # somebody took it for one that was left behind
        raise FileExistsError(None, "others take every new file away")

    @classmethod
    def take_over(cls, path: Path) -> "SpoolFile | None":
        """Open one that a process has left behind; None where it still belongs to one, or cannot be opened."""
        try:
            handle = path.open("rb+", buffering=0)
        except OSError:
            return None
        if _lock(handle):
            return cls(path, handle)
        handle.close()
        return None

    @property
    def size_bytes(self) -> int:
        """Its size."""
        return os.fstat(self._handle.fileno()).st_size

    def append(self, data: bytes) -> None:
        """Write and wait for the disk; raises OSError, and then nothing was added."""
        end = self.size_bytes
        rest = memoryview(data)
        try:
            self._handle.seek(end)
            while rest:
                rest = rest[self._handle.write(rest) :]
            os.fsync(self._handle.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._handle.truncate(end)
            raise

    def read(self, limit: int) -> tuple[list[Entry], int]:
        """Return the next entries, and how many lines were passed over; the same ones again until `done`."""
        self._handle.seek(self._read_to)
        data = b""
        while data.count(b"\n") < limit and (block := self._handle.read(_BLOCK_BYTES)):
            data += block
        *lines, rest = data.split(b"\n", limit)
        if len(lines) < limit and rest:  # the end of the file, where a crash cut it
            lines, rest = [*lines, rest], b""
        entries = [entry for line in lines if (entry := _entry(line)) is not None]
        self._next = self._read_to + len(data) - len(rest)
        return entries, len(lines) - len(entries)

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


def _lock(handle: FileIO) -> bool:
    if sys.platform != "win32":  # there, what is open cannot be removed, which serves as well
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
