"""Lines in a file that grows to a size and is then put aside: written by a thread, so that nobody waits for the disk.

Rules of the file:

1. `write` takes what makes a line, not the line: it is put together in the thread. It never waits.
2. What does not fit into the queue, or what the disk refuses, is counted as dropped and told once: a log of decisions
   is no ledger.
3. The file is rotated before it grows over `max_bytes`: `path` becomes `path.1`, that `path.2`, and so on; `keep` of
   them stay. So all of it never takes more than `(keep + 1) * max_bytes`.
4. A kill loses what has waited for at most `FLUSH_S`.
"""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

FLUSH_S = 0.5
"""As entries of the ledger wait by default."""
MAX_WAITING = 10_000
"""Lines, some 30 MB when they are made: ten seconds of a thousand requests a second."""
BATCH = 500

_log = structlog.get_logger(__name__)


class LineLog:
    """Writes lines until it is closed."""

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        """Begin to write; the file is made with the first line."""
        self.path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._queue: deque[Callable[[], bytes]] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._is_in_trouble = False
        self.written = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="line-log", daemon=True)
        self._thread.start()

    def write(self, make: Callable[[], bytes]) -> None:
        """Take what makes a line, without its end; it is called in another thread."""
        if len(self._queue) >= MAX_WAITING:
            self.dropped += 1
            return
        self._queue.append(make)

    def close(self, timeout_s: float) -> None:
        """Write what there is; returns after `timeout_s` at the latest."""
        self._is_closing = True
        self._wake.set()
        self._thread.join(timeout_s)

    # -- in the thread

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.wait(FLUSH_S)
            while self._queue:
                self._write_batch()

    def _write_batch(self) -> None:
        lines: list[bytes] = []
        while self._queue and len(lines) < BATCH:
            try:
                lines.append(self._queue.popleft()() + b"\n")
            except Exception:  # noqa: BLE001 - a defect of ours in one line must not end the log
                self.dropped += 1
                _log.exception("line_log.broke", file=str(self.path))
        try:
            self._append(b"".join(lines))
        except OSError as error:
            self.dropped += len(lines)
            if not self._is_in_trouble:
                _log.error("line_log.trouble", file=str(self.path), reason=error.strerror)
            self._is_in_trouble = True
            return
        if self._is_in_trouble:
            _log.info("line_log.recovered", file=str(self.path), dropped=self.dropped)
        self._is_in_trouble = False
        self.written += len(lines)

    def _append(self, data: bytes) -> None:
        """Write all of it; a file that the last kill has cut goes on in a line of its own."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        size = self.path.stat().st_size if self.path.is_file() else 0
        if size and size + len(data) > self._max_bytes:
            self._rotate()
        with self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, 2)
                data = data if file.read(1) == b"\n" else b"\n" + data
            file.write(data)

    def _rotate(self) -> None:
        for number in range(self._keep, 0, -1):
            older = self.path if number == 1 else self._aside(number - 1)
            if older.exists():
                older.replace(self._aside(number))
        if not self._keep:
            self.path.unlink(missing_ok=True)

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
