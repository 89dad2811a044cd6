"""The texts that simulated providers answer with, and the check that one arrived whole.

Token `i` of an answer is a word chosen by the hash of the prompt, and the index `i`: `amber-0001 `. It depends on the
prompt, the choice and `i` alone, not on the provider nor on how many tokens follow. So any provider can carry on
where another stopped, and what is lost, repeated, swapped or taken from another answer never looks right.
"""

import hashlib
from dataclasses import dataclass

# fmt: off
_WORDS = (
    "amber", "apple", "arrow", "basil", "beach", "berry", "birch", "blaze", "bloom", "brook", "cabin", "candy",
    "cedar", "chalk", "cliff", "cloud", "coral", "crane", "daisy", "delta", "drift", "eagle", "earth", "ember",
    "fable", "field", "flame", "fresh", "frost", "glade", "glass", "grain", "grape", "grove", "haven", "hazel",
    "honey", "ivory", "jewel", "karma", "lemon", "light", "lilac", "lotus", "maple", "marsh", "meadow", "melon",
    "misty", "night", "north", "oasis", "ocean", "olive", "onion", "opal", "orbit", "otter", "pearl", "pecan",
    "petal", "piano", "plaza", "quartz",
)
# fmt: on
"""64 words: one is chosen by six bits of the hash."""

_WINDOWS = (24, 12, 6)
"""Characters by which a place in the expected text is found again: 24 always hold one whole index, 6 may not."""


def answer_tokens(prompt: str, count: int, choice: int = 0) -> list[str]:
    """Return the first `count` tokens of the answer to `prompt`; `choice` is the index where `n` > 1."""
    tokens: list[str] = []
    key = f"{choice}\x1f{prompt}".encode()
    for start in range(0, count, 64):
        block = hashlib.blake2b(key, salt=start.to_bytes(8, "big"), digest_size=64).digest()
        tokens += [f"{_WORDS[byte & 63]}-{start + i:04d} " for i, byte in enumerate(block[: count - start])]
    return tokens


def expected_text(prompt: str, count: int, choice: int = 0) -> str:
    """Return the whole answer of `count` tokens."""
    return "".join(answer_tokens(prompt, count, choice))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCheck:
    """How a received text differs from the expected one."""

    lost_chars: int
    """Characters of the expected text that did not arrive."""
    repeated_chars: int
    """Characters that arrived once too often, or that do not belong to the answer at all."""
    is_exact: bool
    """Nothing lost, nothing repeated, everything in order."""


def verify(prompt: str, count: int, text: str, choice: int = 0) -> TextCheck:
    """Compare `text` with the answer to `prompt`.

    Always `lost_chars - repeated_chars == len(expected) - len(text)`, and at least one of them is above 0 where the
    texts differ. The counts are exact for pieces that were cut out or repeated, and close to it for other damage.
    """
    expected = expected_text(prompt, count, choice)
    if text == expected:
        return TextCheck(lost_chars=0, repeated_chars=0, is_exact=True)
    is_covered = bytearray(len(expected))
    at, place = 0, 0
    while at < len(text):
        length = _common_length(text, at, expected, place)
        is_covered[place : place + length] = b"\x01" * length
        at, place = at + length, place + length
        if at < len(text):
            at, place = _resume(text, at, expected, place)
    covered = is_covered.count(1)
    lost, repeated = len(expected) - covered, len(text) - covered
    if lost == repeated == 0:  # every character is there, in another order
        lost = repeated = sum(a != b for a, b in zip(text, expected, strict=True))
    return TextCheck(lost_chars=lost, repeated_chars=repeated, is_exact=False)


def _common_length(text: str, at: int, expected: str, place: int) -> int:
    limit = min(len(text) - at, len(expected) - place)
    low, high = 0, limit
    while low < high:  # the longest common prefix, by bisection over slices: comparing slices is cheap
        middle = (low + high + 1) // 2
        if text[at : at + middle] == expected[place : place + middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _resume(text: str, at: int, expected: str, place: int) -> tuple[int, int]:
    """Return where to carry on: ahead where text was lost, before where it is repeated, else past a foreign word."""
    for size in _WINDOWS:
        window = text[at : at + size]
        if len(window) < size:
            continue
        found = expected.find(window, place)
        if found < 0:
            found = expected.find(window)
        if found >= 0:
            return at, found
    space = text.find(" ", at)
    return (len(text) if space < 0 else space + 1), place
