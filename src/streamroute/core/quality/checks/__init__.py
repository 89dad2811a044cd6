"""Assessors, one a file: each takes a draft and what was wanted, and says None where it has nothing to judge."""

from collections.abc import Callable, Mapping

from streamroute.core.quality.checks.arguments import arguments
from streamroute.core.quality.checks.arithmetic import arithmetic
from streamroute.core.quality.checks.code import code
from streamroute.core.quality.checks.completeness import completeness
from streamroute.core.quality.checks.confidence import confidence
from streamroute.core.quality.checks.form import form
from streamroute.core.quality.checks.refusal import refusal
from streamroute.core.quality.checks.repetition import repetition
from streamroute.core.quality.verdict import Draft, Finding, Verdict, Wanted

ASSESSORS: Mapping[str, Callable[[Draft, Wanted], Finding | None]] = {
    "completeness": completeness,
    "form": form,
    "arguments": arguments,
    "code": code,
    "arithmetic": arithmetic,
    "refusal": refusal,
    "repetition": repetition,
    "confidence": confidence,
}


def assess(draft: Draft, wanted: Wanted) -> Verdict:
    """Ask every assessor."""
    found = {name: finding for name, ask in ASSESSORS.items() if (finding := ask(draft, wanted)) is not None}
    return Verdict(score=min((each.score for each in found.values()), default=1.0), findings=found)
