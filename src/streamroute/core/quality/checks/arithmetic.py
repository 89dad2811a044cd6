"""Are the sums right that an answer shows?"""

from streamroute.core.quality.arithmetic import checked_sums
from streamroute.core.quality.verdict import NOTHING_AGAINST, Draft, Finding, Wanted

_MOST_CHARS = 50_000


def arithmetic(draft: Draft, wanted: Wanted) -> Finding | None:
    """Reckon them again."""
    right, wrong = checked_sums(draft.text[:_MOST_CHARS])
    if not right + wrong:
        return None
    return Finding(0.2, f"{wrong} of {right + wrong} sums are wrong") if wrong else NOTHING_AGAINST
