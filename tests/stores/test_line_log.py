"""Lines in a file that is rotated, written by a thread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamroute.stores import line_log
from streamroute.stores.line_log import LineLog
from streamroute.telemetry.logs import configure_logs


@contextmanager
def opened(path: Path, *, max_bytes: int = 1000, keep: int = 2) -> Iterator[LineLog]:
    log = LineLog(path, max_bytes=max_bytes, keep=keep)
    try:
        yield log
    finally:
        log.close(10.0)


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_so():
            return
        threading.Event().wait(0.01)
    raise AssertionError


def test_lines_are_written_in_order_by_another_thread(tmp_path: Path) -> None:
    """In a folder that is made; all that waits is written in the end, and a later start goes on below it."""
    path, threads = tmp_path / "new" / "log.jsonl", set()

    def line(text: bytes) -> Callable[[], bytes]:
        def make() -> bytes:
            threads.add(threading.current_thread())
            return text

        return make

    with opened(path, max_bytes=10_000) as log:
        for i in range(700):
            log.write(line(b"%d" % i))
    with opened(path, max_bytes=10_000) as again:
        again.write(line(b"last"))
    assert path.read_bytes().split() == [b"%d" % i for i in range(700)] + [b"last"]
    assert threading.current_thread() not in threads
    assert (log.written, log.dropped) == (700, 0)


def test_the_size_is_bounded(tmp_path: Path) -> None:
    """The oldest goes when there are too many; no file is larger than it may be, no line is cut."""
    path = tmp_path / "log.jsonl"
    for i in range(20):
        with opened(path, max_bytes=100) as log:
            for _ in range(3):
                log.write(lambda i=i: b"%020d" % i)  # type: ignore[misc]  # bound now
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert all(file.stat().st_size <= 100 for file in files)
    found = [int(line) for file in reversed(files) for line in file.read_bytes().split()]
    assert found == sorted(found)
    assert found[-1] == 19
    with opened(path, max_bytes=100, keep=0) as log:
        log.write(lambda: b"x" * 99)
    assert path.read_bytes() == b"x" * 99 + b"\n", "none is kept"


def test_a_line_that_a_kill_has_cut_stays_alone(tmp_path: Path) -> None:
    """The next one begins anew."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"id": "a"}\n{"id": "b')
    with opened(path) as log:
        log.write(lambda: b'{"id": "c"}')
    assert path.read_bytes() == b'{"id": "a"}\n{"id": "b\n{"id": "c"}\n'


def test_trouble_is_counted_and_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk that refuses, a line that cannot be made, too many that wait: dropped, never raised."""
    path = tmp_path / "log.jsonl"
    path.mkdir()
    configure_logs("info", "json")
    with opened(path) as log:
        log.write(lambda: b"lost")
        until(lambda: log.dropped == 1)
        path.rmdir()
        log.write(lambda: b"%d" % (1 // 0))
        log.write(lambda: b"kept")
        until(lambda: log.written == 1)
    assert path.read_bytes() == b"kept\n"
    assert log.dropped == 2
    assert "line_log.trouble" in capsys.readouterr().err


def test_the_queue_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes never waits for a disk that is slow."""
    monkeypatch.setattr(line_log, "MAX_WAITING", 5)
    is_slow, may_go = threading.Event(), threading.Event()

    def slow() -> bytes:
        is_slow.set()
        may_go.wait(10)
        return b"slow"

    with opened(tmp_path / "log.jsonl") as log:
        log.write(slow)
        assert is_slow.wait(10)
        for _ in range(8):
            log.write(lambda: b"x")
        assert log.dropped == 3
        may_go.set()
    assert log.written == 6
