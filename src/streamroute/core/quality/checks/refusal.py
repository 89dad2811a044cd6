"""Does the model decline, or say that it cannot?"""

import re

from streamroute.core.quality.verdict import NOTHING_AGAINST, Draft, Finding, Wanted

_LOOKED_AT_CHARS = 240
"""A refusal begins with itself; further on the same words belong to an answer."""
_LONG_CHARS = 800
"""Who goes on for that long has answered something."""
_DECLINES = re.compile(
    r"\b(?:i(?:'m| am| must)? (?:sorry|unable|not able|apologi[sz]e|cannot|can't|can not|won't|will not)"
    r"|as an ai(?: language)? model|i do(?:n't| not) (?:have (?:access|enough|the ability)|know)"
    r"|i(?:'m| am) not (?:sure|certain|familiar))\b",
    re.IGNORECASE,
)


def refusal(draft: Draft, wanted: Wanted) -> Finding | None:
    """A short answer that begins with an excuse is one: a larger model may know, or may be allowed to."""
    if draft.refusal:
        return Finding(0.1, "it refuses")
    if not draft.text:
        return None
    text = draft.text.replace("\u2019", "'")
    if len(text) < _LONG_CHARS and _DECLINES.search(text[:_LOOKED_AT_CHARS]):
        return Finding(0.2, "it says that it cannot, or is not sure")
    return NOTHING_AGAINST
