"""Hashes over bytes: of words, of their neighbours, of stretches."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamroute.core.quality.byte_hashes import folded, neighbour_hashes, pair_hashes, stretch_hashes, word_hashes


def words_of(text: str) -> list[int]:
    return [int(each) for each in word_hashes(folded(text))]


def test_letters_are_small_and_digits_all_the_same() -> None:
    """Which number it is says nothing, how long it is does."""
    assert words_of("Pay 12 now") == words_of("pay 34 NOW")
    assert words_of("pay 12 now") != words_of("pay 345 now")


def test_words_numbers_and_signs_stand_alone() -> None:
    """As in "costs $12, or so?": seven of them."""
    assert len(words_of("costs $12, or so?")) == 7
    assert words_of("a--b") == [*words_of("a"), *words_of("-"), *words_of("-"), *words_of("b")]
    assert words_of("x12y") == [*words_of("x"), *words_of("12"), *words_of("y")]


def test_a_word_has_one_hash_wherever_it_stands() -> None:
    """At the start of a text and behind 14,000 letters."""
    assert words_of("b" * 14_000 + " invoice")[1] == words_of("invoice overdue")[0]


def test_other_scripts_are_words_too() -> None:
    """Small and capital letters of them alike."""
    assert words_of("\u0416\u0443\u043a caf\u00c9") == words_of("\u0436\u0443\u043a caf\u00e9")
    assert len(words_of("\u65e5\u672c \u8a9e")) == 2


@given(st.lists(st.from_regex(r"[a-z]{1,12}|[0-9]{1,5}|[!-/]", fullmatch=True), max_size=30))
def test_different_words_have_different_hashes(words: list[str]) -> None:
    """And the same ones the same, in order."""
    own = [re.sub(r"[0-9]", "0", word) for word in words]
    hashes = words_of(" ".join(words))
    assert len(hashes) == len(words)
    assert len(set(hashes)) == len(set(own))
    assert all(hashes[at] == hashes[own.index(word)] for at, word in enumerate(own))


@given(st.text(max_size=200))
def test_any_text_can_be_hashed(text: str) -> None:
    """Also one of nothing, of lone surrogates, of other scripts."""
    data = folded(text)
    words = word_hashes(data)
    assert len(neighbour_hashes(words)) == len(words) + 1
    assert len(stretch_hashes(data)) == max(0, 2 * len(data) - 5)


def test_neighbours_know_their_order_and_the_edges_of_the_text() -> None:
    """Three words have four neighbourhoods; turned round they are others."""
    forward, backward = (neighbour_hashes(word_hashes(folded(each))) for each in ("a b c", "c b a"))
    assert len(forward) == 4
    assert set(forward.tolist()).isdisjoint(backward.tolist())


def test_pairs_know_no_order() -> None:
    """Four different words have six pairs, in whichever order and however often they stand."""
    pairs = pair_hashes(word_hashes(folded("where is my card")), 24)
    assert len(pairs) == 6
    assert set(pairs.tolist()) == set(pair_hashes(word_hashes(folded("card my is where is")), 24).tolist())


def test_pairs_of_long_texts_are_left_out() -> None:
    """Their number grows with the square."""
    assert len(pair_hashes(word_hashes(folded("a b c d")), 3)) == 0
    assert len(pair_hashes(word_hashes(folded("a")), 3)) == 0


def test_stretches_are_the_same_wherever_they_stand() -> None:
    """Of " card " four of three bytes and three of four."""
    own = stretch_hashes(folded("card"))
    assert len(own) == 7
    assert np.isin(own, stretch_hashes(folded("my card was lost"))).all()
