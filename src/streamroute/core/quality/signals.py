"""What an answer shows of its own worth, as numbers: features of the models that decide whether to accept it.

The question alone says nothing about questions of a new kind (AUROC .50 to .56); what the small model wrote does
(docs/concepts/routing.md). Length, repetition, and whether the last numbers are those of the choice taken were tried
too: beside the log-odds of a model that reads the answer's words they gave nothing, and cost small pools 10 % of
saving.
"""

import re
from dataclasses import dataclass

from streamroute.core.quality.arithmetic import checked_sums
from streamroute.core.quality.comparison import concluded
from streamroute.core.quality.hashed_text import shortened
from streamroute.core.quality.verdict import Draft, Verdict

SIGNALS = ("is_well_formed", "is_truncated", "is_refusal", "hedges", "sums_wrong", "has_no_conclusion")
"""Names of the numbers that `signals` returns, in order; each is 0 to 1."""

_HEDGE = re.compile(
    r"\b(?:however|closest|approximately|assum\w*|likely|probably|possibl[ey]|seems?|unclear|unfortunately|cannot"
    r"|not (?:listed|among|given|provided)|none of|re-?check|let's (?:re|try)\w*)\b|≈|\\approx",
    re.IGNORECASE,
)


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


def answer_of(draft: Draft, verdict: Verdict) -> Answer:
    """Return a held answer, as far as its words and the findings about it tell; of a long one both ends, for everybody
    waits while it is read."""
    return Answer(
        text=shortened(draft.text),
        conclusion=concluded(draft),
        is_well_formed=_is_well(verdict, "form", "arguments", "code"),
        is_truncated=not _is_well(verdict, "completeness"),
        is_refusal=not _is_well(verdict, "refusal"),
    )


def _is_well(verdict: Verdict, *names: str) -> bool:
    return all(verdict.findings[name].score >= 1.0 for name in names if name in verdict.findings)


def signals(answer: Answer) -> tuple[float, ...]:
    """Return the numbers that `SIGNALS` names."""
    _, wrong = checked_sums(answer.text)
    return (
        float(answer.is_well_formed),
        float(answer.is_truncated),
        float(answer.is_refusal),
        min(1.0, len(_HEDGE.findall(answer.text)) / 5.0),
        min(1.0, wrong / 3.0),
        float(answer.conclusion is None),
    )
