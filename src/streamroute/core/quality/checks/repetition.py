"""Does the answer go round in circles, as small models do when they have lost the thread?"""

from collections import Counter

from streamroute.core.quality.verdict import NOTHING_AGAINST, Draft, Finding, Wanted

_WINDOW_WORDS = 5
_LEAST_WORDS = 60
"""Shorter answers repeat themselves with reason."""
_MOST_REPEATED = 0.55
"""Share of five-word windows that were seen before. Of Python's own library, in pieces of 400 words, 99 % have less
than 0.26, and none more than 0.51; a sentence said five times over has 0.8."""


def repetition(draft: Draft, wanted: Wanted) -> Finding | None:
    """Count windows of words that come again."""
    words = draft.text.split()
    if len(words) < _LEAST_WORDS:
        return None
    windows = Counter(zip(*(words[start:] for start in range(_WINDOW_WORDS)), strict=False))
    repeated = 1.0 - len(windows) / windows.total()
    return Finding(0.1, f"{repeated:.0%} of it repeats itself") if repeated > _MOST_REPEATED else NOTHING_AGAINST
