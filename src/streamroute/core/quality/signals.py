"""What an answer shows of its own worth, as numbers: the features of the models that decide whether to accept it.

The question alone says nothing about questions of a new kind (AUROC .50 to .56); what the small model wrote does
(docs/concepts/routing.md). No text of it is kept.
"""

import re
from dataclasses import dataclass
from math import log1p

from streamroute.core.quality.agreement import normal
from streamroute.core.quality.arithmetic import checked_sums

SIGNALS = (
    "length",
    "is_bare",
    "is_well_formed",
    "is_truncated",
    "is_refusal",
    "hedges",
    "sums_right",
    "sums_wrong",
    "has_sums",
    "last_number_fits_choice",
    "last_number_fits_other_choice",
    "last_number_fits_no_choice",
    "has_no_conclusion",
    "repetition",
)
"""Names of the numbers that `signals` returns, in order; each is about 0 to 1."""

_HEDGE = re.compile(
    r"\b(?:however|closest|approximately|assum\w*|likely|probably|possibl[ey]|seems?|unclear|unfortunately|cannot"
    r"|not (?:listed|among|given|provided)|none of|re-?check|let's (?:re|try)\w*)\b|≈|\\approx",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"^\(?([A-J])[.)] (.*)$", re.MULTILINE)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_CONCLUDES = re.compile(r"(?:the )?(?:final )?answer is.*\Z", re.IGNORECASE | re.DOTALL)
_BARE_CHARS = 60
"""An answer as short as that shows no way to it."""
_TAIL_CHARS = 200
_LAST_NUMBERS = 3
_CLOSE = 0.011
"""Relative: choices are rounded to two or three digits."""
_RUN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, and what is known of it besides its text."""

    text: str
    conclusion: str | None = None
    """What it says the answer is."""
    is_well_formed: bool = True
    """It has the form that was asked for."""
    is_truncated: bool = False
    is_refusal: bool = False


def signals(question: str, answer: Answer) -> tuple[float, ...]:
    """Return the numbers that `SIGNALS` names."""
    text = answer.text
    right, wrong = checked_sums(text)
    fits, fits_other, fits_none = _last_numbers(question, answer)
    return (
        log1p(len(text)) / 8.0,
        float(len(text) < _BARE_CHARS),
        float(answer.is_well_formed),
        float(answer.is_truncated),
        float(answer.is_refusal),
        min(1.0, len(_HEDGE.findall(text)) / 5.0),
        min(1.0, right / 8.0),
        min(1.0, wrong / 3.0),
        float(right + wrong > 0),
        fits,
        fits_other,
        fits_none,
        float(answer.conclusion is None),
        _repetition(text),
    )


def _last_numbers(question: str, answer: Answer) -> tuple[float, float, float]:
    """Whether the last numbers before the conclusion are those of the choice taken, of another one, or of none."""
    choices = dict(_CHOICE.findall(question))
    by_choice = {name: _numbers(choice) for name, choice in choices.items()}
    if sum(map(bool, by_choice.values())) < max(1, len(choices) // 2):
        return 0.0, 0.0, 0.0
    shown = _numbers(_CONCLUDES.sub("", answer.text)[-_TAIL_CHARS:])[-_LAST_NUMBERS:]
    taken = by_choice.pop(normal(answer.conclusion or ""), [])
    if _is_among(shown, taken):
        return 1.0, 0.0, 0.0
    others = [number for numbers in by_choice.values() for number in numbers]
    is_other = _is_among(shown, others)
    return 0.0, float(is_other), float(bool(shown) and not is_other)


def _numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in _NUMBER.findall(text)]


def _is_among(shown: list[float], meant: list[float]) -> bool:
    return any(abs(a - b) <= _CLOSE * max(abs(a), abs(b)) for a in shown for b in meant)


def _repetition(text: str) -> float:
    words = text.split()
    runs = [tuple(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)]
    return 1.0 - len(set(runs)) / len(runs) if runs else 0.0
