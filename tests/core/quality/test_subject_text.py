"""Texts as views of what they are about."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.core.quality.byte_hashes import folded, mixed, word_hashes
from streamroute.core.quality.hashed_text import BUCKET_BITS
from streamroute.core.quality.subject_text import Rarity, read_subject


@settings(max_examples=50)
@given(st.text(max_size=80))
def test_each_bucket_of_any_text_is_there_once(text: str) -> None:
    """Learning writes to buckets: a second time in one text would be lost."""
    read = read_subject(text)
    for view in (read.words, read.stretches):
        assert len(set(view.tolist())) == len(view)
        assert all(0 <= each < 1 << BUCKET_BITS for each in view.tolist())


def test_of_a_long_text_both_ends_are_read() -> None:
    """The middle of it says no more, and costs time."""
    begins, ends = "translate this " * 40, "into german please " * 40
    assert (
        read_subject(begins + "x" * 5_000 + ends).words.tolist()
        == read_subject(begins + "y" * 9_000 + ends).words.tolist()
    )


def test_views_have_the_length_one_and_rare_words_count_more() -> None:
    """Of 100 texts all with "please" and one with "invoice", the invoice says more."""
    rarity = Rarity()
    for _ in range(99):
        rarity.count(read_subject("please"))
    rarity.count(read_subject("please invoice"))
    read = read_subject("please invoice")
    vector = rarity.vector(read)
    own = dict(zip(vector.ids.tolist(), vector.values.tolist(), strict=True))
    please, invoice = (int(each) & ((1 << BUCKET_BITS) - 1) for each in mixed(word_hashes(folded("please invoice"))))
    assert own[invoice] > 4 * own[please]
    for part in (vector.values[: len(read.words)], vector.values[len(read.words) :]):
        assert abs(float(part @ part) - 1.0) < 1e-5


def test_an_empty_text_is_an_empty_vector() -> None:
    """Nothing to divide by."""
    rarity = Rarity()
    vector = rarity.vector(read_subject(""))
    assert np.isfinite(vector.values).all()


def test_what_was_counted_can_be_saved() -> None:
    """A restored count weighs a text as the one before."""
    rarity, other = Rarity(), Rarity()
    rarity.count(read_subject("where is my card"))
    other.count(read_subject("forgotten"))
    other.restore(rarity.state())
    read = read_subject("my new card")
    assert other.vector(read).values.tolist() == rarity.vector(read).values.tolist()
