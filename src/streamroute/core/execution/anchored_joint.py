"""Finding the joint of a continuation that was asked for in words: where does new text begin?

The model was told to begin by repeating the anchor, the last words that the client has. In order of preference:

1. the anchor, at the start or behind a preamble ("Sure, here is the continuation:", quotes, a code fence): dropped;
2. the longest end of the anchor, of at least `MIN_OVERLAP_CHARS`, with which the new text begins: dropped;
3. the answer from its beginning: what the client has is dropped, exactly; in other words: `mismatch`. Where the
   beginning holds the anchor too, what comes after it tells which of the two it is;
4. a preamble that speaks of continuing, and then none of these: `mismatch`;
5. anything else goes on where the old text ends, as it is.

White space at the end of the old text is not part of the anchor, and white space within it may differ.
"""

import re
from typing import Literal

from streamroute.core.execution.replay import HEAD_CHARS, Replay, head_recurs

MAX_ANCHOR_CHARS = 60
"""About ten words: long enough to be found once, short enough to be repeated without a slip."""
_MIN_ANCHOR_CHARS = 40
MIN_OVERLAP_CHARS = 8
"""Shorter repetitions are as likely to be the model's own."""
_UNKNOWN_PREAMBLE_CHARS = 64
"""How long a sentence that could be a preamble is waited for; longer only for one that begins as preambles do."""
_PREAMBLE_CHARS = 200

_DECORATION = re.compile(r"(?:```\w*(?:\n|\Z)|\s|[\"'`*_“”„‘’«»….>-]|<anchor>|<(?:a(?:n(?:c(?:h(?:or?)?)?)?)?)?\Z)*")  # noqa: RUF001 (quotes of other languages)
_BEFORE_JOINT = re.compile(r"(?:^|[:.!?,;…\n—-])(?:\s|[\"'`*_“„‘«….>-]|```\w*\n|<anchor>)*\Z")  # noqa: RUF001
_OPENER = re.compile(
    r"(?:sure|certainly|of course|okay|ok|absolutely|understood|got it|right|alright|yes|sorry|apologies|i apolog\w*"
    r"|my apologies|no problem|here(?:'s|’s| is| comes)|continu\w*|resuming|picking up|let me|the continuation"  # noqa: RUF001
    r"|as requested|i will|i'll|i’ll)\b",  # noqa: RUF001
    re.IGNORECASE,
)
_SPEAKS_OF_CONTINUING = re.compile(
    r"continu|resum|interrupt|left off|pick(?:ing)? up|rest of|(?:previous|last) (?:answer|response)", re.IGNORECASE
)
_CLOSERS = (
    (re.compile(r"```\w*\n\s*\Z"), "\n```"),
    (re.compile(r"<anchor>\s*\Z"), "</anchor>"),
    (re.compile(r'"\Z'), '"'),
    (re.compile(r"“\Z"), "”"),
    (re.compile(r"«\s?\Z"), "»"),
    (re.compile(r"`\Z"), "`"),
)


def anchor_of(delivered: str) -> str:
    """Return the last words of what was delivered, at most `MAX_ANCHOR_CHARS`, without white space around them."""
    core = delivered.rstrip()
    if len(core) <= MAX_ANCHOR_CHARS:
        return core.lstrip()
    tail = core[-MAX_ANCHOR_CHARS:]
    for at in range(MAX_ANCHOR_CHARS - _MIN_ANCHOR_CHARS):
        if tail[at].isspace() or core[-MAX_ANCHOR_CHARS - 1].isspace():
            return tail[at:].lstrip() if tail[at].isspace() else tail.lstrip()
    return tail[-_MIN_ANCHOR_CHARS:].lstrip()


class AnchoredJoint:
    """Follows one instructed continuation, character by character until it is decided: at most a few hundred."""

    __slots__ = (
        "_anchor", "_closer", "_delivered", "_either", "_gap", "_held", "_is_at_joint", "_pattern", "_recurs",
        "_replay", "_start", "_tail", "verdict",
    )  # fmt: skip

    def __init__(self, delivered: str) -> None:
        self._delivered = delivered
        self._anchor = anchor_of(delivered)
        self._pattern = re.compile(r"\s+".join(map(re.escape, self._anchor.split())))
        self._start = _collapsed(delivered[: 4 * HEAD_CHARS]).casefold()[:HEAD_CHARS]
        self._recurs = head_recurs(delivered)
        self._replay: Replay | None = None
        self._either: tuple[int, int] | None = None
        """Where the anchor is in what is held, while that may as well be the answer's beginning."""
        self._held = ""
        self._gap = ""
        self._closer = ""
        self._is_at_joint = False
        self._tail = ""
        self.verdict: Literal["undecided", "joined", "restarted", "mismatch"] = "undecided"

    def feed(self, text: str) -> str:
        """Take new text; return what may be delivered."""
        for at in range(len(text)):
            if self.verdict != "undecided":
                return self._pass_on(text[at:])
            if self._replay is not None:
                return self._follow(text[at:])
            self._held += text[at]
            if (rest := self._look(self._held)) is not None:
                self._held = ""
                return self._pass_on(rest) + self._pass_on(text[at + 1 :])
        return ""

    def finish(self) -> str:
        """Decide at the end of the continuation."""
        if self._either is not None:
            return self._joined_at_anchor("") + self.flush()
        if self._replay is not None:
            self.verdict = "mismatch"  # it began again, and ended before it came to what is new
            return ""
        text, self._held = self._held, ""
        joint = self._overlap(text, is_end=True)
        if joint is None:
            is_cut = len(text) >= MIN_OVERLAP_CHARS and self._is_anchor_begun(text)
            is_again = len(text) > HEAD_CHARS and self._delivered.startswith(text) and not self._recurs
            self.verdict = "mismatch" if is_cut or is_again or self._is_mere_preamble(text) else "joined"
            return "" if self.verdict == "mismatch" else text
        self._join(text[:0])
        return self._pass_on(text[joint:]) + self.flush()

    def flush(self) -> str:
        """Return what is held of text that flows: the end of it may have been the closing quote of the whole."""
        tail, self._tail = self._tail, ""
        return "" if tail == self._closer else tail

    def _look(self, text: str) -> str | None:
        """Return what `text` adds, "" with a verdict of `mismatch` too; None: not yet decided."""
        if (found := self._pattern.search(text)) and self._may_stand_before(text[: found.start()], found.group()):
            for at in {0, found.start()}:
                again = text[at : found.end()]
                if len(self._delivered.rstrip()) > len(again) and self._delivered.startswith(again):
                    self._either, self._replay = found.span(), Replay(self._delivered)
                    self._replay.feed(text[at:])
                    return None
            self._join(text[: found.start()])
            return text[found.end() :]
        if self._begins_again(text):
            return None if self.verdict == "undecided" else ""
        joint = self._overlap(text, is_end=False)
        if joint is not None:
            if joint < 0:
                return None
            self._join("")
            return text[joint:]
        if self._is_awaited(text):
            return None
        self.verdict = "mismatch" if self._is_mere_preamble(text) else "joined"
        return "" if self.verdict == "mismatch" else text

    def _join(self, before: str) -> None:
        self.verdict = "joined"
        self._gap = self._delivered[len(self._delivered.rstrip()) :]
        self._closer = next((closer for opening, closer in _CLOSERS if opening.search(before)), "")
        self._is_at_joint = bool(self._closer)

    def _may_stand_before(self, before: str, anchor: str) -> bool:
        if not before or self._delivered.rstrip().endswith(before + anchor):
            return True
        return len(before) <= _limit(before) and _BEFORE_JOINT.search(before) is not None

    def _begins_again(self, text: str) -> bool:
        """Whether the answer (possibly) begins again: decided with a replay, or a mismatch."""
        if self._is_anchor_begun(text) or len(self._delivered) <= len(self._anchor):
            is_like = False
        else:
            is_like = self._delivered.startswith(text)
        if is_like:
            if len(text) > HEAD_CHARS:
                self._replay = Replay(self._delivered)
                self._replay.feed(text)
            return True
        start = self._delivered[: HEAD_CHARS + 1]
        at = text.find(start) if len(self._delivered) > HEAD_CHARS + MAX_ANCHOR_CHARS else -1
        is_possible = at > 0 and at <= _limit(text[:at]) and _BEFORE_JOINT.search(text[:at])
        if is_possible and not any(self._is_anchor_begun(text[before:]) for before in range(at + 1)):
            self._held = ""
            self._replay = Replay(self._delivered)
            self._replay.feed(text[at:])
            return True
        if self._recurs or len(self._start) < HEAD_CHARS or self._is_anchor_begun(text):
            return False
        likeness = _collapsed(text).casefold().lstrip()
        if likeness.startswith(self._start):
            self.verdict = "mismatch"
            return True
        return bool(likeness) and self._start.startswith(likeness)

    def _follow(self, text: str) -> str:
        """Swallow what the client has; a new answer shows where it differs."""
        replay = self._replay
        if replay is None:
            return ""
        rest = replay.feed(text)
        if replay.likeness == "same":
            self._held += text
            return ""
        if replay.likeness == "past":
            self.verdict, self._replay, self._held, self._either = "restarted", None, "", None
            return self._pass_on(rest)
        if self._either is not None:
            return self._joined_at_anchor(text)
        self._replay = None
        if not self._recurs:
            self.verdict, self._held = "mismatch", ""
            return ""
        self.verdict = "joined"
        held, self._held = self._held, ""
        return self._pass_on(held + text)

    def _joined_at_anchor(self, text: str) -> str:
        """It was the anchor, and not the beginning: return what came after it."""
        start, end = self._either or (0, 0)
        held, self._held, self._either, self._replay = self._held + text, "", None, None
        self._join(held[:start])
        return self._pass_on(held[end:])

    def _overlap(self, text: str, *, is_end: bool) -> int | None:
        """Return where new text begins behind the end of the anchor; -1: not yet to be told; None: nowhere."""
        decoration = _DECORATION.match(text)
        starts = {0, decoration.end() if decoration else 0}
        for start in sorted(starts):
            piece = text[start:]
            if not is_end and piece and piece in self._anchor[:-1]:
                return -1
            for chars in range(min(len(piece), len(self._anchor)), MIN_OVERLAP_CHARS - 1, -1):
                if piece.startswith(self._anchor[-chars:]):
                    return start + chars
        return None

    def _is_anchor_begun(self, text: str) -> bool:
        decoration = _DECORATION.match(text)
        anchor = _collapsed(self._anchor)
        pieces = {text, text[decoration.end() :] if decoration else text}
        return any(piece and anchor.startswith(_collapsed(piece)) for piece in pieces)

    def _is_awaited(self, text: str) -> bool:
        """Whether the anchor, or the beginning of the answer, can still come."""
        limit = _limit(text)
        if len(text) <= limit or self._is_anchor_begun(text):
            return True
        anchor, start = _collapsed(self._anchor), self._delivered[: HEAD_CHARS + 1]
        for at in range(1, min(limit + 1, len(text))):
            piece = text[at:]
            if (anchor.startswith(_collapsed(piece)) or start.startswith(piece)) and _BEFORE_JOINT.search(text[:at]):
                return True
        return False

    def _is_mere_preamble(self, text: str) -> bool:
        if not _OPENER.match(text[_decorated(text) :]):
            return False
        sentence = re.split(r"[:\n]", text, maxsplit=1)
        return len(sentence) > 1 and _SPEAKS_OF_CONTINUING.search(sentence[0]) is not None

    def _pass_on(self, text: str) -> str:
        if self.verdict == "mismatch" or not text:
            return ""
        text, self._tail = self._tail + text, ""
        if self._is_at_joint:
            if len(text) < len(self._closer) and self._closer.startswith(text):
                self._tail = text
                return ""
            self._is_at_joint = False
            if text.startswith(self._closer):
                text, self._closer = text[len(self._closer) :], ""
        while self._gap and text:
            if text[0] != self._gap[0]:
                self._gap = ""
                break
            text, self._gap = text[1:], self._gap[1:]
        for chars in range(min(len(self._closer), len(text)), 0, -1):
            if self._closer.startswith(text[-chars:]):
                self._tail = text[-chars:]
                return text[:-chars]
        return text


def _limit(text: str) -> int:
    """Return how many characters of preamble `text` may begin with: none where it goes on within a sentence."""
    at = _decorated(text)
    body = text[at:]
    if not body:
        return _UNKNOWN_PREAMBLE_CHARS
    if not body[0].isalpha() or body[0].islower():
        return at
    return _PREAMBLE_CHARS if _OPENER.match(body) else _UNKNOWN_PREAMBLE_CHARS


def _decorated(text: str) -> int:
    found = _DECORATION.match(text)
    return found.end() if found else 0


def _collapsed(text: str) -> str:
    return re.sub(r"\s+", " ", text)
