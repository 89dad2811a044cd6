"""Assessors, one a file: each takes a draft and what was wanted, and says None where it has nothing to judge.

These cost nothing. Others, which ask a model, are in `engine.cross_checks`; they are asked where these leave a doubt.
"""

from collections.abc import Callable, Mapping

from streamroute.core.quality.checks.arguments import arguments
from streamroute.core.quality.checks.arithmetic import arithmetic
from streamroute.core.quality.checks.code import code
from streamroute.core.quality.checks.completeness import completeness
from streamroute.core.quality.checks.confidence import confidence
from streamroute.core.quality.checks.form import form
from streamroute.core.quality.checks.refusal import refusal
from streamroute.core.quality.checks.repetition import repetition
from streamroute.core.quality.verdict import Draft, Finding, Verdict, Wanted, verdict_of

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
    return verdict_of({name: found for name, ask in ASSESSORS.items() if (found := ask(draft, wanted)) is not None})
