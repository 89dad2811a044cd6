"""The writer loses nothing that it has room for, and says what it does not."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from streamroute.clock import thread_now
from streamroute.core.cost.entry import Entry
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.ledger import Ledger
from streamroute.stores.spool import CHUNK, Spool
from streamroute.stores.usage import read_usage
from streamroute.stores.writer import SLOW, LedgerWriter
from tests.support.entries import attempt_entry, request_entry


class Desk:
    """A writer on a file of SQLite, flushed by hand or by its thread."""

    def __init__(self, folder: Path, *, flush_interval_s: float = 0.5, spool_bytes: int = 1 << 20, room: int = 100):
        self.url = f"sqlite:///{folder}/ledger.db"
        self.spool = Spool(folder, max_bytes=spool_bytes)
        self.store = Ledger(self.url, busy_timeout_s=0.001)
        self.writer = LedgerWriter(self.store, self.spool, flush_interval_s=flush_interval_s, max_waiting=room)

    def close(self) -> None:
        """End without the thread, as a process that is killed."""
        self.spool.close()
        self.store.close()

    def attempts(self) -> int:
        return sum(row.attempts for row in read_usage(self.url, []))


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Make writers on one folder that are closed in the end."""
    with ExitStack() as stack:
        yield lambda **more: stack.enter_context(closing(Desk(tmp_path, **more)))


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """Make one writer."""
    return make_desk()


def test_what_is_recorded_is_in_the_database_when_it_is_closed(desk: Desk) -> None:
    """By its thread."""
    desk.writer.start()
    for i in range(20):
        desk.writer.record(attempt_entry(f"r{i}"))
        desk.writer.record(request_entry(f"r{i}"))
    desk.writer.close(5)
    [row] = read_usage(desk.url, [])
    assert (row.attempts, row.requests) == (20, 20)
    figures = desk.writer.figures()
    assert (figures.written, figures.waiting, figures.trouble) == (40, 0, None)


def test_a_locked_database_sends_entries_to_the_disk_and_back(desk: Desk) -> None:
    """At once, so that a crash loses none; when the lock is gone they are written, each once."""
    desk.writer.record(attempt_entry("r0"))
    desk.writer.flush()
    engine = open_engine(desk.url)
    with transaction(engine):
        for i in range(1, 4):
            desk.writer.record(attempt_entry(f"r{i}"))
            desk.writer.flush()
        figures = desk.writer.figures()
        assert (figures.waiting, figures.spooled, figures.written) == (0, 3, 1)
        assert figures.trouble == "database is locked"
    engine.dispose()
    desk.writer.flush(is_last=True)
    assert desk.attempts() == 4
    figures = desk.writer.figures()
    assert (figures.spooled, figures.written, figures.trouble) == (0, 4, None)


class SlowStore:
    """A database that takes its time over every write."""

    def __init__(self, store: Ledger) -> None:
        self.store = store
        self.may_go_on = threading.Event()

    def write(self, entries: Sequence[Entry]) -> int:
        assert self.may_go_on.wait(10)
        return self.store.write(entries)

    def tidy(self, now_ms: int) -> bool:
        return self.store.tidy(now_ms)

    def close(self) -> None:
        self.store.close()


def test_what_waits_behind_a_slow_write_goes_to_the_disk(tmp_path: Path) -> None:
    """A first migration may take longer than the interval: a kill meanwhile must not lose what is older than that."""
    store = SlowStore(Ledger(f"sqlite:///{tmp_path}/ledger.db"))
    writer = LedgerWriter(store, Spool(tmp_path), flush_interval_s=0.02)
    writer.start()
    for i in range(3):
        writer.record(attempt_entry(f"r{i}"))
    until = thread_now() + 10
    while writer.figures().spooled < 3 and thread_now() < until:
        threading.Event().wait(0.002)
    assert (writer.figures().waiting, writer.figures().spooled) == (0, 3)
    store.may_go_on.set()
    writer.close(5)
    [row] = read_usage(f"sqlite:///{tmp_path}/ledger.db", [])
    assert (row.attempts, writer.figures().written, writer.figures().spooled) == (3, 3, 0)


def test_what_a_slow_write_has_in_hand_is_kept_and_counts_once(tmp_path: Path) -> None:
    """It is on the disk while nobody knows whether the database will take it, and is written once all the same."""
    spool, url = Spool(tmp_path), f"sqlite:///{tmp_path}/ledger.db"
    writer: LedgerWriter

    class Meanwhile(Ledger):
        def write(self, entries: Sequence[Entry]) -> int:
            if entries and not spool.entries:
                writer.look()
                assert spool.entries == 0
                writer.look()
                assert spool.entries == 2
            return super().write(entries)

    with closing(spool), closing(Meanwhile(url)) as store:
        writer = LedgerWriter(store, spool, flush_interval_s=0.5)
        for i in range(2):
            writer.record(attempt_entry(f"r{i}"))
        writer.flush()
        [row] = read_usage(url, [])
        assert (row.attempts, writer.figures().written, writer.figures().spooled) == (2, 2, 0)
        assert writer.figures().waiting == 0


def test_what_waits_behind_many_quick_writes_is_kept(tmp_path: Path) -> None:
    """None of them takes long, all of them together do: what is older than the interval is on disk all the same."""
    spool, url = Spool(tmp_path), f"sqlite:///{tmp_path}/ledger.db"
    kept = []
    writer: LedgerWriter

    class Meanwhile(Ledger):
        def write(self, entries: Sequence[Entry]) -> int:
            writer.look()
            kept.append(spool.entries)
            return super().write(entries)

    with closing(spool), closing(Meanwhile(url)) as store:
        writer = LedgerWriter(store, spool, flush_interval_s=0.5)
        for i in range(5 * CHUNK):
            writer.record(attempt_entry(f"r{i}"))
        writer.flush()
        assert kept[:4] == [0, 0, 0, CHUNK], "the fourth look finds the fifth chunk in the queue"
        assert read_usage(url, [])[0].attempts == writer.figures().written == 5 * CHUNK


def test_a_write_that_does_not_end_is_told_as_trouble(tmp_path: Path) -> None:
    """Once it has taken some intervals; it is over when the write is."""
    spool, url = Spool(tmp_path), f"sqlite:///{tmp_path}/ledger.db"
    told = []
    writer: LedgerWriter

    class Meanwhile(Ledger):
        def write(self, entries: Sequence[Entry]) -> int:
            for _ in range(SLOW):
                writer.look()
            told.append(writer.figures().trouble)
            writer.look()
            told.append(writer.figures().trouble)
            return super().write(entries)

    with closing(spool), closing(Meanwhile(url)) as store:
        writer = LedgerWriter(store, spool, flush_interval_s=0.5)
        writer.record(attempt_entry("r1"))
        writer.flush()
        assert told[:2] == [None, "a write takes long"]
        assert writer.figures().trouble is None


def test_an_entry_that_is_new_is_left_to_the_writer(desk: Desk) -> None:
    """Nothing goes by way of the disk that the database takes in time."""
    for i in range(9):
        desk.writer.record(attempt_entry(f"r{i}"))
        desk.writer.look()
        desk.writer.look()
        desk.writer.flush()
        assert desk.writer.figures().spooled == 0
    assert desk.attempts() == 9


def test_a_killed_process_leaves_its_spool_to_the_next(desk: Desk, make_desk: Callable[..., Desk]) -> None:
    """Whatever was written before is not written twice."""
    desk.writer.record(attempt_entry("r0"))
    desk.writer.flush()
    desk.spool.append([attempt_entry("r0"), attempt_entry("r1")])
    desk.close()
    heir = make_desk()
    heir.writer.flush()
    assert heir.attempts() == 2
    assert heir.writer.figures().spooled == 0


def test_where_nothing_has_room_the_rest_is_counted(make_desk: Callable[..., Desk]) -> None:
    """First the disk is full, then the memory; what was taken is written in the end."""
    desk = make_desk(spool_bytes=1500, room=5)
    desk.writer.flush()
    with closing(Ledger(desk.url)) as other:
        other.write([attempt_entry("other")])
    engine = open_engine(desk.url)
    with transaction(engine):
        for i in range(10):
            desk.writer.record(attempt_entry(f"r{i}"))
            desk.writer.flush()
        figures = desk.writer.figures()
        assert figures.spooled + figures.waiting + figures.dropped == 10
        assert figures.waiting == 5
        assert figures.dropped > 0
        assert figures.trouble is not None
        assert "holds all the 1500 bytes" in figures.trouble
    engine.dispose()
    desk.writer.flush(is_last=True)
    assert desk.attempts() == 1 + 10 - figures.dropped
    assert desk.writer.figures().trouble is None


def test_synchronous_entries_are_on_disk_at_once(make_desk: Callable[..., Desk]) -> None:
    """With an interval of 0, before the database has seen them: it may even be locked."""
    desk = make_desk(flush_interval_s=0)
    desk.writer.record(attempt_entry("r1"))
    assert (desk.writer.figures().waiting, desk.writer.figures().spooled) == (0, 1)
    desk.close()
    heir = make_desk()
    heir.writer.flush()
    assert heir.attempts() == 1


def test_a_database_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    """Entries are kept on disk, and closing says so within its time."""
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path)
    writer = LedgerWriter(Ledger(f"sqlite:///{tmp_path}/file/ledger.db"), spool, flush_interval_s=0.5)
    writer.start()
    writer.record(attempt_entry())
    writer.close(5)
    figures = writer.figures()
    assert (figures.waiting, figures.spooled) == (0, 1)
    assert "cannot be made" in (figures.trouble or "")
    with closing(Spool(tmp_path)) as left:
        assert left.oldest() == [attempt_entry()]


def test_whatever_breaks_at_the_opening_does_not_end_the_writing(tmp_path: Path) -> None:
    """Also what is no error of a store: it is told as trouble, and what comes afterwards is written."""

    class Broken(Ledger):
        is_broken = True

        def write(self, entries: Sequence[Entry]) -> int:
            if self.is_broken:
                self.is_broken = False
                raise MemoryError("no room for a migration")
            return super().write(entries)

    writer = LedgerWriter(Broken(f"sqlite:///{tmp_path}/ledger.db"), Spool(tmp_path), flush_interval_s=0.02)
    writer.start()
    writer.record(attempt_entry())
    writer.close(5)
    assert (writer.figures().written, writer.figures().trouble) == (1, None)


def test_an_entry_that_nothing_can_make_sense_of_is_refused_alone(desk: Desk) -> None:
    """A spool may hold a line that reads and is no entry: what stands beside it is written."""
    poison = attempt_entry("bad")
    object.__setattr__(poison, "ended_at_ms", None)
    desk.spool.append([attempt_entry("r0"), poison, attempt_entry("r1")])
    desk.writer.flush(is_last=True)
    assert desk.attempts() == 2
    assert (desk.writer.figures().refused, desk.writer.figures().spooled, desk.writer.figures().trouble) == (1, 0, None)
