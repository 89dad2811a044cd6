"""Recognising an answer that begins again, where the rest of one was asked for."""

from typing import Literal

HEAD_CHARS = 24
"""Characters of the beginning that a remainder has in common with it by chance at most: five words of English. A text
whose own beginning comes again (lists, refrains) is not judged by them."""

Likeness = Literal["same", "past", "differs"]
"""`same`: so far it is the beginning of what was delivered; `past`: all of it was repeated, and what follows is new."""


class Replay:
    """Compares new text with what was delivered, from the beginning of both. Linear in the length of the text."""

    __slots__ = ("_delivered", "chars", "likeness")

    def __init__(self, delivered: str) -> None:
        self._delivered = delivered
        self.chars = 0
        """How much of it was repeated."""
        self.likeness: Likeness = "same" if delivered else "past"

    def feed(self, text: str) -> str:
        """Compare further; return what comes after the repetition (`past`) or from where it differs (`differs`)."""
        if self.likeness != "same":
            return text
        rest = self._delivered[self.chars : self.chars + len(text)]
        common = len(rest) if text.startswith(rest) else _common_chars(rest, text)
        self.chars += common
        if self.chars == len(self._delivered):
            self.likeness = "past"
        elif common < len(text):
            self.likeness = "differs"
        return text[common:]


def is_refrain(text: str) -> bool:
    """Whether `text` is one phrase said several times over: what goes on from it looks like its beginning."""
    return len(text) > 1 and (text + text).find(text, 1) < len(text)


def head_recurs(text: str) -> bool:
    """Whether the beginning comes again further on, so that likeness with it proves nothing."""
    return text.find(text[:HEAD_CHARS], 1) >= 0


def _common_chars(left: str, right: str) -> int:
    for at, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return at
    return min(len(left), len(right))
