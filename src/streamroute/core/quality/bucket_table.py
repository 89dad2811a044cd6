"""Numbers by bucket of hashed text and by column, where columns come and go while it is in use.

Columns live in blocks of sixteen, made when they are needed: a new one copies nothing, as an array that is made wider
would (46 ms for the twentieth domain), and memory is only taken for buckets that are written to. A column that was
dropped is wiped, and given to the next that comes.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.hashed_text import BUCKET_BITS

Numbers = NDArray[np.float32]

_WIDTH = 16
"""Columns of a block: a row is 64 bytes, a cache line, because a row of two blocks takes twice as long to fetch; a
block takes 8 MB once all its buckets were written to."""
_ONES = np.ones(4096, np.float32)


class BucketTable:
    """All numbers are 0 until they are written."""

    def __init__(self) -> None:
        self._blocks: list[Numbers] = []
        self._free: list[int] = []
        self.columns = 0
        """How many there are, dropped ones before the last included."""

    def add(self) -> int:
        """Return a column that nobody has."""
        if self._free:
            return self._free.pop()
        if self.columns == _WIDTH * len(self._blocks):
            self._blocks.append(np.zeros((1 << BUCKET_BITS, _WIDTH), np.float32))
        self.columns += 1
        return self.columns - 1

    def drop(self, column: int) -> None:
        """Wipe a column, and give it to the next that comes."""
        self._blocks[column // _WIDTH][:, column % _WIDTH] = 0.0
        self._free.append(column)

    def take(self, ids: NDArray[np.intp]) -> Numbers:
        """Return a copy of some buckets' rows, one number a column."""
        if len(self._blocks) == 1:
            return self._blocks[0].take(ids, 0)[:, : self.columns]
        if not self._blocks:
            return np.zeros((len(ids), 0), np.float32)
        return np.concatenate([block.take(ids, 0) for block in self._blocks], axis=1)[:, : self.columns]

    def sums(self, ids: NDArray[np.intp], values: Numbers | None = None) -> list[float]:
        """Return the sum of some buckets' rows, one number a column; each row times its value, where there are some."""
        if values is None:
            values = _ONES[: len(ids)] if len(ids) <= len(_ONES) else np.ones(len(ids), np.float32)
        found: list[float] = []
        for block in self._blocks:
            found += values.dot(block.take(ids, 0)).tolist()  # adding rows up takes seven times as long
        return found[: self.columns]

    def put(self, ids: NDArray[np.intp], rows: Numbers) -> None:
        """Write some buckets' rows; each bucket may be in `ids` once."""
        for place, block in enumerate(self._blocks):
            own = rows[:, place * _WIDTH : (place + 1) * _WIDTH]
            block[ids, : own.shape[1]] = own

    def used(self, columns: Iterable[int]) -> NDArray[np.intp]:
        """Return the buckets in which a number of one of these columns is not 0."""
        found = np.zeros(1 << BUCKET_BITS, np.bool_)
        for column in columns:
            found |= self._blocks[column // _WIDTH][:, column % _WIDTH] != 0.0
        return np.flatnonzero(found)


def are_buckets(ids: NDArray[np.generic]) -> bool:
    """Return whether these, from a saved state, are buckets."""
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        return False
    return not len(ids) or (int(ids.min()) >= 0 and int(ids.max()) < 1 << BUCKET_BITS)
