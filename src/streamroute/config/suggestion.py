"""The nearest right name for a wrong one."""

from collections.abc import Mapping
from difflib import get_close_matches


def suggestion(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """Return `; did you mean "x"?`, or the whole list where nothing is near and it is short."""
    names = tuple(known)
    folded = {candidate.casefold(): candidate for candidate in reversed(names)}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{folded[near[0]]}"?'
    if 0 < len(names) <= 12:
        return "; known: " + ", ".join(names)
    return ""
