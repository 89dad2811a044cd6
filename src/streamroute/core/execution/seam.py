"""Joining the continuation of an answer to what the client has of it: no character lost, none repeated.

A continuation comes from another call, maybe of another model, and need not do what it was asked. Rules, per rung:

1. Native rungs go on from the very end. Nothing is cut off because it was said before: small models repeat
   themselves, and that is their answer. But a server that ignores the partial answer begins again: then what the
   client has is swallowed (`restarted`). That is held no longer than new text is the beginning of the old. More than
   `HEAD_CHARS` of the beginning, and then something else, is a new answer: `mismatch`. Old text that is a refrain
   (`ha ha ha `) goes on as it begins: there, beginning again and going on are the same, and going on is taken.
2. `instructed` repeats an anchor first: see `anchored_joint`.
3. `anew` must repeat all that was delivered, exactly; `restart` repeats nothing, and the client is told.

Requests carry the delivered text without the white space at its end: Anthropic refuses a prefill that ends so
(https://platform.claude.com/docs/en/build-with-claude/prompt-engineering/prefill-claudes-response), and many chat
templates trim it silently. The new text begins with that space again, and it is swallowed as far as it is the same.
"""

from typing import Literal

from streamroute.core.execution.anchored_joint import AnchoredJoint
from streamroute.core.execution.ladder import NATIVE_RUNGS
from streamroute.core.execution.replay import HEAD_CHARS, Replay, head_recurs, is_refrain
from streamroute.core.upstream import Rung

MIN_NATIVE_CHARS = 8
"""Shorter text says too little to tell going on from beginning again: ask `anew`, little is lost."""

Verdict = Literal["undecided", "joined", "restarted", "mismatch"]


class Seam:
    """Follows one continuation. However its text is cut into pieces, the same characters come out."""

    __slots__ = ("_anchored", "_delivered", "_held", "_replay", "_rung", "verdict")

    def __init__(self, delivered: str, rung: Rung) -> None:
        self._delivered = delivered
        self._rung: Rung = rung
        self._held: list[str] = []
        self._replay = Replay(delivered)
        self._anchored = AnchoredJoint(delivered) if rung == "instructed" else None
        self.verdict: Verdict = "undecided"
        """`joined` and `restarted`: text flows; `mismatch`: this continuation is of no use."""
        if rung == "restart":
            self.verdict = "restarted"
        elif (rung in NATIVE_RUNGS and (len(delivered) < MIN_NATIVE_CHARS or is_refrain(delivered))) or not delivered:
            self.verdict = "joined"

    def feed(self, text: str) -> str:
        """Take new text; return what the client may have now, possibly nothing."""
        if self.verdict == "undecided":
            return self._decide(text) if text else ""
        return "" if self.verdict == "mismatch" else self._pass_on(text)

    def finish(self) -> str:
        """Take note that the continuation has come to its proper end; return what was held, if it is to be had."""
        if self._anchored is not None:
            if self.verdict == "undecided":
                released = self._anchored.finish()
                self.verdict = self._anchored.verdict
                return released
            return self._anchored.flush() if self.verdict != "mismatch" else ""
        if self.verdict != "undecided":
            return ""
        held = "".join(self._held)
        if not held and self._rung != "anew":
            self.verdict = "joined"  # the answer lacked nothing but its end
            return ""
        is_beginning = self._rung == "anew" or (len(held) > HEAD_CHARS and not head_recurs(self._delivered))
        self.verdict = "mismatch" if is_beginning else "joined"
        return "" if is_beginning else self._pass_on(held)

    def _decide(self, text: str) -> str:
        if self._anchored is not None:
            released = self._anchored.feed(text)
            self.verdict = self._anchored.verdict
            return released
        rest = self._replay.feed(text)
        if self._replay.likeness == "same":
            self._held.append(text)
            return ""
        if self._replay.likeness == "past":
            self.verdict = "joined" if self._rung == "anew" else "restarted"
            self._held.clear()
            return rest
        is_another = self._replay.chars > HEAD_CHARS and not head_recurs(self._delivered)
        if self._rung == "anew" or is_another:
            self.verdict = "mismatch"
            return ""
        self.verdict = "joined"
        held, self._held = "".join(self._held), []
        return self._pass_on(held + text)

    def _pass_on(self, text: str) -> str:
        if self._anchored is not None:
            return self._anchored.feed(text)
        return text
