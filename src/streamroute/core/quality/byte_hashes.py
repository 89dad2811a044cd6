"""Hashes of a text's words, of what stands beside them, and of its stretches, all at once over its bytes.

Word by word in Python takes three times as long. A word's hash is a polynomial of its bytes: the sums of all of them
are differences of one running sum (Karp and Rabin, 1987), brought back to the word's start by the inverse of the base
modulo 2**32. Letters are small, digits are all the same, and bytes of other scripts than Latin are letters. All hashes
are left to be mixed at once: it is the number of operations that takes time here, not their length.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]

_BASE = 2_654_435_761
_MIX, _BESIDE, _PAIR, _FOUR, _THREE = np.array(
    [2_246_822_519, 3_266_489_917, 668_265_263, 374_761_393, 2_654_435_769], np.uint32
)
"""Odd numbers with their bits well spread (the primes of xxHash, and the golden ratio), one for each kind of hash."""
_NONE: Hashes = np.empty(0, np.uint32)
_FIRST, _LAST = 1, 2
"""Stand where a word would before the first and after the last one."""
_WINDOW = np.dtype("<u4")
_BLANK, _LETTER, _DIGIT, _SIGN = range(4)
_FOLD: Final = bytes(32 if chr(each).isspace() or each < 32 else 48 if 48 <= each < 58 else each for each in range(256))


def _kind(each: int) -> int:
    if each == 32:
        return _BLANK
    if each == 48:
        return _DIGIT
    return _LETTER if each >= 128 or chr(each).isalpha() else _SIGN


_KIND: Final = bytes(_kind(each) for each in range(256))


def _powers(base: int, many: int) -> Hashes:
    powers = np.full(many, base, np.uint32)
    powers[0] = 1
    return np.asarray(np.cumprod(powers, dtype=np.uint32))


_MOST_BYTES = 1 << 14
_UP = _powers(_BASE, _MOST_BYTES)
_DOWN = _powers(pow(_BASE, -1, 1 << 32), _MOST_BYTES + 1)[1:]
"""By the place before a word."""


def folded(text: str) -> bytes:
    """Return a text's bytes as they are hashed, a blank before and after them; of a long one the first 16,000."""
    data = text.lower().encode("utf-8", "surrogatepass")[: _MOST_BYTES - 2].translate(_FOLD)
    return b" " + data + b" "


def word_hashes(data: bytes) -> Hashes:
    """Return the hashes of words, numbers and single signs of a folded text, in order."""
    kinds = np.frombuffer(data.translate(_KIND), np.uint8)
    is_border = kinds[1:] != kinds[:-1]
    is_border |= kinds[1:] == _SIGN
    before = is_border.nonzero()[0]  # where each run ends; the next one begins behind it
    sums = (np.frombuffer(data, np.uint8) * _UP[: len(data)]).cumsum(dtype=np.uint32).take(before)
    runs = sums[1:] - sums[:-1]
    runs *= _DOWN.take(before[:-1])
    return np.asarray(runs.compress(kinds.take(before[1:])))  # blanks are of kind 0


def neighbour_hashes(words: Hashes) -> Hashes:
    """Return the hashes of every word with the next one; the text's edges count as words."""
    found = np.empty(len(words) + 1, np.uint32)
    found[0], found[1:] = _FIRST, words
    found *= _BESIDE
    found[:-1] += words
    found[-1] += np.uint32(_LAST)
    return found


def pair_hashes(words: Hashes, most: int) -> Hashes:
    """Return the hashes of every two different words, in whichever order they stand; none of a text of more than
    `most` words."""
    if len(words) > most:
        return _NONE
    known = np.unique(words)
    one, two = np.triu_indices(len(known), 1)
    return np.asarray(known[one] * _PAIR + known[two])


def stretch_hashes(data: bytes, *, with_threes: bool = True) -> Hashes:
    """Return the hashes of every four bytes of a folded text that follow each other, and of every three if wanted."""
    fours = np.asarray(np.ndarray((max(0, len(data) - 3),), _WINDOW, data, 0, (1,)) * _FOUR, np.uint32)
    if not with_threes:
        return fours
    threes = np.ndarray((max(0, len(data) - 2),), _WINDOW, data + b" ", 0, (1,)) & np.uint32(0xFFFFFF)
    return np.concatenate([threes * _THREE, fours])


def mixed(hashes: Hashes) -> Hashes:
    """Let every bit depend on all others, in place: buckets are the lowest bits."""
    hashes ^= hashes >> np.uint32(15)
    hashes *= _MIX
    hashes ^= hashes >> np.uint32(13)
    return hashes
