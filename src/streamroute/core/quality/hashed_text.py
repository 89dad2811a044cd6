"""Text as a sparse vector: hashed words and pairs of words.

The hashing trick (Weinberger et al., ICML 2009) needs no vocabulary, so a model of any language and any trade starts
without one and its size is fixed. Digits are folded, because which number it is says nothing about who can reckon with
it. Word hashes are chained CRC-32s: the hash of a pair is the second word's, started from the first's. Words and pairs
beat static embeddings on recorded outcomes, in domain and out of it (docs/concepts/routing.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

BUCKET_BITS = 17
"""Of 5,500 questions' words 2**16 buckets cost .002 of AUROC, 2**18 gain .0005 (pool A2 of bench/routing.py)."""

_WORD = re.compile(r"[^\W\d_]+|\d+|[^\s\w]|_")
_ASCII_WORD = re.compile(rb"[a-z]+|0+|[^\sa-z0\x1c-\x1f]")
"""The same for bytes whose digits are folded."""
_LONG_NUMBER = re.compile(rb"0{5,}")
_DIGITS_FOLDED = bytes(ord("0") if chr(each).isdigit() and each < 128 else each for each in range(256))
_MOST_CHARS = 6_000
"""Of a text: what follows adds time, and the question of a long prompt stands at either end."""


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Buckets, and the values there."""

    ids: NDArray[np.intp]
    values: NDArray[np.float32]


def word_hashes(text: str) -> list[int]:
    """Return the 32-bit hashes of words, then those of pairs of neighbours."""
    lower = text.lower()
    if lower.isascii():  # a quarter faster, byte by byte the same
        words = _ASCII_WORD.findall(_LONG_NUMBER.sub(b"0000", lower.encode().translate(_DIGITS_FOLDED)))
    else:
        words = [_folded(word) for word in _WORD.findall(lower)]
    singles = list(map(crc32, words))
    return singles + list(map(crc32, words[1:], singles))


def _folded(word: str) -> bytes:
    return b"0000"[: len(word)] if word.isdigit() else word.encode("utf-8", "surrogatepass")


def shortened(text: str) -> str:
    """Return both ends of a long text: instructions open a prompt, questions and conclusions close it."""
    if len(text) <= _MOST_CHARS:
        return text
    return f"{text[: _MOST_CHARS // 2]} {text[-_MOST_CHARS // 2 :]}"


def bucketed(hashes: Sequence[int] | NDArray[np.uint32], *, salt: int = 0, norm: float = 1.0) -> SparseVector:
    """Return a vector of length `norm` with a bucket for each different hash; `salt` keeps kinds of text apart."""
    mixed = np.asarray(hashes, np.uint32) ^ np.uint32(salt)
    ids = np.sort(mixed & np.uint32((1 << BUCKET_BITS) - 1)).astype(np.intp)
    if len(ids) > 1:
        ids = ids[np.concatenate(([True], ids[1:] != ids[:-1]))]
    return SparseVector(ids, np.full(len(ids), norm / max(1, len(ids)) ** 0.5, np.float32))


def joined(*vectors: SparseVector) -> SparseVector:
    """Return all of them side by side; of a bucket that two share both values count when asked, one when learning."""
    return SparseVector(
        np.concatenate([each.ids for each in vectors]), np.concatenate([each.values for each in vectors])
    )
