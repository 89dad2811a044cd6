"""Hashes of a text's words, of what stands beside them, and of its stretches, all at once over its bytes.

Word by word in Python takes three times as long. A word's hash is a polynomial of its bytes: the sums of all of them
are differences of one running sum (Karp and Rabin, 1987), brought back to the word's start by the inverse of the base
modulo 2**32. Letters are small, digits are all the same, and bytes of other scripts than Latin are letters.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]
Bytes = NDArray[np.uint8]

_BASE = 2_654_435_761
_MIX = np.uint32(2_246_822_519)
_FIRST, _LAST = np.array([[1], [2]], np.uint32)
"""Stand where a word would before the first and after the last one."""
_BLANK, _LETTER, _DIGIT, _SIGN = range(4)
_FOLD: Final = bytes(32 if chr(each).isspace() or each < 32 else 48 if 48 <= each < 58 else each for each in range(256))


def _kind(each: int) -> int:
    if each == 32:
        return _BLANK
    if each == 48:
        return _DIGIT
    return _LETTER if each >= 128 or chr(each).isalpha() else _SIGN


_KIND = np.array([_kind(each) for each in _FOLD], np.uint8)


def _powers(base: int, many: int) -> Hashes:
    powers = np.full(many, base, np.uint32)
    powers[0] = 1
    return np.asarray(np.cumprod(powers, dtype=np.uint32))


_MOST_BYTES = 1 << 14
_UP = _powers(_BASE, _MOST_BYTES)
_DOWN = _powers(pow(_BASE, -1, 1 << 32), _MOST_BYTES)


def folded(text: str) -> Bytes:
    """Return a text's bytes as they are hashed, a blank before and after them; of a long one the first 16,000."""
    data = text.lower().encode("utf-8", "surrogatepass")[: _MOST_BYTES - 2].translate(_FOLD)
    return np.frombuffer(b" " + data + b" ", np.uint8)


def word_hashes(data: Bytes) -> Hashes:
    """Return the hashes of words, numbers and single signs, in order."""
    kinds = _KIND.take(data)
    is_border = kinds[1:] != kinds[:-1]
    is_border |= kinds[1:] == _SIGN
    borders = np.flatnonzero(is_border) + 1
    is_word = kinds.take(borders[:-1]) != _BLANK
    begins, ends = borders[:-1][is_word], borders[1:][is_word]
    sums = np.cumsum(data * _UP[: len(data)], dtype=np.uint32)
    return mixed((sums.take(ends - 1) - sums.take(begins - 1)) * _DOWN.take(begins))


def neighbour_hashes(words: Hashes) -> Hashes:
    """Return the hashes of every word with the next one; the text's edges count as words."""
    padded = np.concatenate([_FIRST, words, _LAST])
    return mixed(padded[:-1] * np.uint32(_BASE) + padded[1:])


def pair_hashes(words: Hashes, most: int) -> Hashes:
    """Return the hashes of every two different words, in whichever order they stand; none of a text of more than
    `most` words."""
    if len(words) > most:
        return np.empty(0, np.uint32)
    known = np.unique(words)
    one, two = np.triu_indices(len(known), 1)
    return mixed(known[one] * _MIX + known[two])


def stretch_hashes(data: Bytes, *, with_threes: bool = True) -> Hashes:
    """Return the hashes of every four bytes that follow each other, and of every three if wanted."""
    base, wide = np.uint32(_BASE), data.astype(np.uint32)
    two = wide[:-1] * base + wide[1:]
    three = two[:-1] * base + wide[2:]
    four = three[:-1] * base + wide[3:]
    return mixed(np.concatenate([three, four]) if with_threes else four)


def mixed(hashes: Hashes) -> Hashes:
    """Let every bit depend on all others, in place: buckets are the lowest bits."""
    hashes ^= hashes >> np.uint32(15)
    hashes *= _MIX
    hashes ^= hashes >> np.uint32(13)
    return hashes
