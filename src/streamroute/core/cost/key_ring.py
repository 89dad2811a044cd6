"""All keys of the store, as they were last read: who is it that shows this secret?

A secret is looked up by its digest. How long that takes can tell something about digests, from which nobody comes to a
secret; what is compared in the end is compared in constant time.
"""

import hmac
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from streamroute.core.caller import Caller
from streamroute.core.cost.budget_line import BudgetLine
from streamroute.core.cost.client_key import ClientKey, KeyState


@dataclass(frozen=True, slots=True)
class Barred:
    """The secret was good once."""

    key: ClientKey
    why: Literal["expired", "revoked", "replaced"]
    since_ms: int


class KeyRing:
    """A snapshot; nobody changes it."""

    def __init__(self, keys: Sequence[ClientKey] = ()) -> None:
        self.keys = tuple(keys)
        self._by_digest = {key.digest: (key, key.caller()) for key in keys}
        self._by_previous = {
            key.previous_digest: (key, key.caller()) for key in keys if key.previous_digest is not None
        }

    def find(self, digest: bytes, now_ms: int) -> Caller | Barred | None:
        """Return whose secret has this digest, or why it is no good any more; None: it never was."""
        known, is_previous = self._by_digest.get(digest), False
        if known is None:
            known, is_previous = self._by_previous.get(digest), True
        if known is None:
            return None
        key, caller = known
        kept = key.previous_digest if is_previous else key.digest
        if kept is None or not hmac.compare_digest(kept, digest):
            return None
        if key.revoked_at_ms is not None:
            return Barred(key, "revoked", key.revoked_at_ms)
        if key.expires_at_ms is not None and key.expires_at_ms <= now_ms:
            return Barred(key, "expired", key.expires_at_ms)
        if is_previous and (key.previous_until_ms or 0) <= now_ms:
            return Barred(key, "replaced", key.previous_until_ms or 0)
        return caller

    def states(self, now_ms: int) -> Counter[KeyState]:
        """Return how many are in each state."""
        return Counter(key.state(now_ms) for key in self.keys)

    def budget_lines(self, now_ms: int) -> tuple[BudgetLine, ...]:
        """Return the budgets of all live keys."""
        return tuple(line for key in self.keys if key.state(now_ms) == "live" for line in key.budgets)


NO_KEYS = KeyRing()
