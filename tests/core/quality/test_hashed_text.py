"""Text as hashed vectors."""

from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.quality.hashed_text import (
    BUCKET_BITS,
    SparseVector,
    bucketed,
    joined,
    shortened,
    word_hashes,
)


def test_words_and_pairs_are_chained_checksums() -> None:
    """A pair's hash is that of its words run together, so nothing is put together to be hashed."""
    assert word_hashes("Big cat!") == [crc32(b"big"), crc32(b"cat"), crc32(b"!"), crc32(b"bigcat"), crc32(b"cat!")]


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_ascii_is_read_as_any_other_text_is(text: str) -> None:
    """By bytes, for it is faster: a letter of another script, as a word of its own, changes nothing else."""
    other = word_hashes(f"{text} \u4e00")
    word = crc32("\u4e00".encode())
    own = word_hashes(text)
    last = own[(len(own) - 1) // 2] if own else None
    pair = [] if last is None else [crc32("\u4e00".encode(), last)]
    assert sorted(other) == sorted([*own, word, *pair])


def test_numbers_count_by_their_length() -> None:
    """Which number it is says nothing about who can reckon with it; how long it is may, up to four digits."""
    assert word_hashes("12 + 7") == word_hashes("98 + 3")
    assert word_hashes("12") != word_hashes("123")
    assert word_hashes("12345") == word_hashes("123456789")


def test_both_ends_of_a_long_text_are_kept() -> None:
    """Instructions open a prompt, questions close it."""
    text = "a" * 4_000 + "b" * 4_000
    assert shortened(text) == "a" * 3_000 + " " + "b" * 3_000
    assert shortened("short") == "short"


def test_a_vector_has_each_bucket_once_and_its_length() -> None:
    """Three different hashes: each value is one over the root of three."""
    vector = bucketed([7, 5, 7, 9])
    assert vector.ids.tolist() == [5, 7, 9]
    assert vector.values == pytest.approx([3**-0.5] * 3)
    assert bucketed([7], norm=2.0).values.tolist() == [2.0]


def test_salt_keeps_kinds_apart() -> None:
    """The same word of a question and of an answer are two features."""
    assert bucketed([7], salt=1).ids.tolist() == [6]


def test_joined_is_side_by_side() -> None:
    """A bucket that two share stands there twice."""
    one = SparseVector(np.array([1, 2], np.intp), np.array([0.5, 0.5], np.float32))
    both = joined(one, one)
    assert both.ids.tolist() == [1, 2, 1, 2]
    assert both.values.tolist() == [0.5] * 4


@given(st.text(max_size=300))
def test_every_text_has_a_vector_of_length_one(text: str) -> None:
    """Also one of nothing, of lone surrogates, of other scripts."""
    vector = bucketed(word_hashes(text))
    assert (vector.ids < 1 << BUCKET_BITS).all()
    assert len(np.unique(vector.ids)) == len(vector.ids)
    if len(vector.ids):
        assert float(vector.values @ vector.values) == pytest.approx(1.0, rel=1e-4)
