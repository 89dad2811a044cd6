"""What became of the money of an attempt: it paid for an answer, or it was spent for nothing, and why.

answer        it answered, or a part of what was carried on
hedge_lost    a hedge whose rival was first
race_lost     a racer whose rival was first
overtaken     the call that a hedge or a race has overtaken
failed        failed before its first token: what came after it was a retry
cut           failed after its first token: broke off, fell silent, or was cut by a limit
probe         asked to see how the upstream is
client_gone   the client left before the end
aborted       ended by us for another reason, such as a shutdown
"""

from typing import Literal, get_args

Fate = Literal["answer", "hedge_lost", "race_lost", "overtaken", "failed", "cut", "probe", "client_gone", "aborted"]
WASTED: tuple[Fate, ...] = tuple(fate for fate in get_args(Fate) if fate != "answer")

_LOST: dict[str, Fate] = {"hedge": "hedge_lost", "race": "race_lost", "probe": "probe"}


def fate_of(*, is_asked: bool, cause: str, outcome: str, cancel_reason: str | None, has_begun: bool) -> Fate:
    """Return the fate of an attempt, from the words of its entry. `is_asked`: by a client; `has_begun`: a token came.

    The part of an answer that was delivered before it was cut counts as cut, though the client has it: the rest was
    paid for anew.
    """
    if not is_asked:
        return "probe"
    if outcome == "succeeded":
        return "answer"
    if outcome == "failed":
        return "cut" if has_begun else "failed"
    if cancel_reason == "client_gone":
        return "client_gone"
    return _LOST.get(cause, "overtaken") if cancel_reason == "lost" else "aborted"
