"""A table by bucket whose columns come and go."""

import numpy as np
import pytest

from streamroute.core.quality.bucket_table import BucketTable

IDS = np.array([3, 70_000, 131_071], np.intp)


def test_there_is_nothing_at_first() -> None:
    """No columns: rows of none."""
    assert BucketTable().take(IDS).shape == (3, 0)


@pytest.mark.parametrize("columns", [1, 8, 15, 16, 17, 32, 40])
def test_rows_come_back_as_they_were_put(columns: int) -> None:
    """Whatever the number of blocks, and other buckets stay 0."""
    table = BucketTable()
    assert [table.add() for _ in range(columns)] == list(range(columns))
    rows = np.arange(3 * columns, dtype=np.float32).reshape(3, columns) + 1
    table.put(IDS, rows)
    assert table.take(IDS).tolist() == rows.tolist()
    assert not table.take(IDS + -1).any()
    assert table.used(range(columns)).tolist() == IDS.tolist()
    assert table.used([]).tolist() == []


@pytest.mark.parametrize("columns", [1, 16, 20])
def test_rows_are_added_up(columns: int) -> None:
    """With or without a value for each; also more of them than anything is made ready for."""
    table = BucketTable()
    for _ in range(columns):
        table.add()
    ids = np.arange(5_000, dtype=np.intp)
    rows = np.outer(np.ones(len(ids)), np.arange(columns) + 1).astype(np.float32)
    table.put(ids, rows)
    assert table.sums(ids[:10]) == [10.0 * (at + 1) for at in range(columns)]
    assert table.sums(ids) == [5_000.0 * (at + 1) for at in range(columns)]
    assert table.sums(ids[:2], np.array([2, 3], np.float32)) == [5.0 * (at + 1) for at in range(columns)]
    assert table.sums(ids[:0]) == [0.0] * columns


def test_a_new_column_leaves_the_others_and_is_empty() -> None:
    """Also where it begins a block."""
    table = BucketTable()
    for _ in range(16):
        table.add()
    table.put(IDS, np.ones((3, 16), np.float32))
    table.add()
    assert table.take(IDS).tolist() == [[1.0] * 16 + [0.0]] * 3


def test_a_dropped_column_is_wiped_and_used_again() -> None:
    """The others stay where they are."""
    table = BucketTable()
    for _ in range(10):
        table.add()
    table.put(IDS, np.ones((3, 10), np.float32))
    table.drop(1)
    table.drop(9)
    assert table.take(IDS)[0].tolist() == [1, 0, 1, 1, 1, 1, 1, 1, 1, 0]
    assert sorted([table.add(), table.add()]) == [1, 9]
    assert table.add() == 10
    assert not table.take(IDS)[:, [1, 9, 10]].any()


def test_what_is_taken_is_a_copy() -> None:
    """Learning changes rows before it puts them back."""
    table = BucketTable()
    table.add()
    table.take(IDS)[:] = 5.0
    assert not table.take(IDS).any()
