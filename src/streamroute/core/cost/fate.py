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
rejected      a whole answer of a small model that was not good enough to be delivered
speculation   a larger model started beside a small one that was good enough after all
agreement     asked the same as another model, to see whether they agree
judge         asked what an answer is worth
audit         asked the same as who has answered, or what that answer is worth, to see what was missed
"""

from typing import Literal, get_args

Fate = Literal[
    "answer", "hedge_lost", "race_lost", "overtaken", "failed", "cut", "probe", "client_gone", "aborted",
    "rejected", "speculation", "agreement", "judge", "audit",
]  # fmt: skip
WASTED: tuple[Fate, ...] = tuple(fate for fate in get_args(Fate) if fate != "answer")

_LOST: dict[str, Fate] = {"hedge": "hedge_lost", "race": "race_lost", "probe": "probe", "speculation": "speculation"}
_CROSS_CHECKS: dict[str, Fate] = {"agreement": "agreement", "judge": "judge", "audit": "audit"}


def fate_of(
    *, is_asked: bool, cause: str, outcome: str, cancel_reason: str | None, has_begun: bool, is_rejected: bool = False
) -> Fate:
    """Return the fate of an attempt, from the words of its entry. `is_asked`: by a client; `has_begun`: a token came;
    `is_rejected`: its whole answer was not delivered.

    The part of an answer that was delivered before it was cut counts as cut, though the client has it: the rest was
    paid for anew.
    """
    if not is_asked:
        return "probe"
    if cause in _CROSS_CHECKS:
        return _CROSS_CHECKS[cause]
    if outcome == "succeeded":
        return "rejected" if is_rejected else "answer"
    if outcome == "failed":
        return "cut" if has_begun else "failed"
    if cancel_reason == "client_gone":
        return "client_gone"
    return _LOST.get(cause, "overtaken") if cancel_reason == "lost" else "aborted"
