"""Entries on disk outlive the process, and come out once they are in the database."""

import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import pytest

from streamroute.core.cost.entry import Entry
from streamroute.errors import StoreError
from streamroute.stores.spool import CHUNK, Spool
from tests.support.entries import attempt_entry, quality_entry, request_entry


@pytest.fixture
def open_spool() -> Iterator[Callable[..., Spool]]:
    """Make spools that are closed in the end."""
    with ExitStack() as stack:
        yield lambda *args, **more: stack.enter_context(closing(Spool(*args, **more)))


def drained(spool: Spool) -> list[Entry]:
    found: list[Entry] = []
    while entries := spool.oldest():
        found += entries
        spool.forget(len(entries))
    return found


def test_what_goes_in_comes_out_in_order(tmp_path: Path, open_spool: Callable[..., Spool]) -> None:
    """All kinds, over several chunks; afterwards nothing is left on disk."""
    kinds: tuple[Callable[..., Entry], ...] = (
        attempt_entry,
        partial(request_entry, user="Zoë", route_tier=1),
        partial(quality_entry, predicted=0.5),
    )
    entries: list[Entry] = [kinds[i % 3](f"r{i}") for i in range(CHUNK + 3)]
    spool = open_spool(tmp_path / "new")
    spool.append(entries[:9])
    spool.append(entries[9:])
    assert spool.entries == len(entries)
    assert drained(spool) == entries
    assert spool.is_empty
    spool.append(entries[:1])
    assert drained(spool) == entries[:1]
    spool.close()
    assert list((tmp_path / "new").iterdir()) == []


def test_entries_stay_until_they_are_forgotten(tmp_path: Path, open_spool: Callable[..., Spool]) -> None:
    """A crash between the database and the spool writes twice, which does no harm, rather than never."""
    spool = open_spool(tmp_path)
    spool.append([attempt_entry()])
    assert spool.oldest() == spool.oldest() == [attempt_entry()]
    spool.close()
    assert drained(open_spool(tmp_path)) == [attempt_entry()]


def test_what_a_process_left_is_taken_over_and_what_belongs_to_one_is_not(
    tmp_path: Path, open_spool: Callable[..., Spool]
) -> None:
    """Two sidecars may share a folder."""
    alive, dead = open_spool(tmp_path), open_spool(tmp_path)
    alive.append([attempt_entry("alive")])
    dead.append([attempt_entry("dead")])
    dead.close()
    heir = open_spool(tmp_path)
    heir.append([attempt_entry("new")])
    assert drained(heir) == [attempt_entry("dead"), attempt_entry("new")]
    assert drained(alive) == [attempt_entry("alive")]


def test_a_line_that_a_crash_cut_is_passed_over(tmp_path: Path, open_spool: Callable[..., Spool]) -> None:
    """Whatever stands there; the entries around it are read."""
    spool = open_spool(tmp_path)
    spool.append([attempt_entry("r1")])
    spool.close()
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole + b"\xff\n[]\n3\n" + b'["attempt", {"ledger_id": 1}]\n' + whole + whole[:40])
    heir = open_spool(tmp_path)
    assert drained(heir) == [attempt_entry("r1")] * 2
    assert heir.unreadable == 5
    assert list(tmp_path.iterdir()) == []


def test_a_full_spool_takes_nothing(tmp_path: Path, open_spool: Callable[..., Spool]) -> None:
    """And has room again once it was emptied."""
    spool = open_spool(tmp_path, max_bytes=900)
    spool.append([attempt_entry("r1")])
    with pytest.raises(StoreError, match="holds all the 900 bytes"):
        spool.append([attempt_entry("r2")])
    assert drained(spool) == [attempt_entry("r1")]
    spool.append([attempt_entry("r2")])
    assert drained(spool) == [attempt_entry("r2")]


def test_a_folder_that_cannot_be_made_is_an_error_of_the_store(
    tmp_path: Path, open_spool: Callable[..., Spool]
) -> None:
    """Nothing else is raised."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        open_spool(tmp_path / "file" / "below").append([attempt_entry()])


def test_what_the_disk_refused_is_not_written_later(tmp_path: Path, open_spool: Callable[..., Spool]) -> None:
    """Not a part of it either: the writer still has it, and tries again."""
    spool = open_spool(tmp_path)
    spool.append([attempt_entry("r1")])
    [file] = tmp_path.iterdir()
    size = file.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
    try:
        with pytest.raises(StoreError, match="File too large"):
            spool.append([attempt_entry("r2")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.stat().st_size == size
    spool.append([attempt_entry("r3")])
    assert drained(spool) == [attempt_entry("r1"), attempt_entry("r3")]
    assert spool.unreadable == 0
