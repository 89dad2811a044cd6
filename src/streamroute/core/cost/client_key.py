"""A client's key as it is kept: never the secret, only its digest.

The digest is a plain SHA-256. Slow, salted hashes protect what people make up; a secret of 256 random bits cannot be
guessed at any speed, and a slow hash would cost each request some 100 ms.
"""

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import Literal

from streamroute.core.attribution import Attribution
from streamroute.core.caller import Caller
from streamroute.core.cost.budget_line import BudgetLine, Window, parse_amount
from streamroute.core.money import Money, usd_text
from streamroute.core.requirements import NO_REQUIREMENTS, Requirements
from streamroute.core.upstream import UpstreamId

KeyState = Literal["live", "expired", "revoked"]
SHOWN_CHARS = 10
"""Of a secret, to tell keys apart in lists: `sr-` and 42 of its 256 bits."""
_SHARE = re.compile(r"\s*([0-9]{1,3})\s*%\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """One key. Times are milliseconds since the Unix epoch."""

    id: str
    name: str
    """Unique among the keys that are not revoked."""
    shown: str
    """How its secret begins."""
    digest: bytes = field(repr=False)
    created_at_ms: int
    expires_at_ms: int | None = None
    revoked_at_ms: int | None = None
    rotated_at_ms: int | None = None
    previous_digest: bytes | None = field(default=None, repr=False)
    """Of the secret that the last rotation replaced."""
    previous_until_ms: int | None = None
    """How long that one is still good."""
    team: str | None = None
    task: str | None = None
    routes: frozenset[str] | None = None
    upstreams: frozenset[UpstreamId] | None = None
    requests_per_min: int | None = None
    tokens_per_min: int | None = None
    budgets: tuple[BudgetLine, ...] = ()
    """Of scope `key` and this key's name."""
    may_use_unpriced: bool = False
    is_admin: bool = False
    requirements: Requirements = NO_REQUIREMENTS
    """Of requests with this key: a client may ask for more, never for less (`Requirements.within`)."""

    def state(self, now_ms: int) -> KeyState:
        """Return whether it can be used."""
        if self.revoked_at_ms is not None:
            return "revoked"
        return "expired" if self.expires_at_ms is not None and self.expires_at_ms <= now_ms else "live"

    def caller(self) -> Caller:
        """Return who calls with it."""
        return Caller(
            key_id=self.id,
            defaults=Attribution(task=self.task, team=self.team, key=self.name),
            routes=self.routes,
            upstreams=self.upstreams,
            requests_per_min=self.requests_per_min,
            tokens_per_min=self.tokens_per_min,
            may_use_unpriced=self.may_use_unpriced,
            is_admin=self.is_admin,
            requirements=self.requirements,
        )


def digest_of(secret: str) -> bytes:
    """Return what is kept of a secret, and looked up by."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def key_budgets(name: str, limits: list[str], warnings: list[str]) -> tuple[BudgetLine, ...]:
    """Return a key's budgets from texts such as `5USD/day`; raises ValueError.

    A warning is an amount and a window that has a limit (`4USD/day`), or a share of every limit (`80%`).
    """
    lines: dict[Window, BudgetLine] = {}
    if warnings and not limits:
        raise ValueError(f"{warnings[0]!r} warns of a budget, and there is none")
    for text in limits:
        limit, window = parse_amount(text)
        if window in lines:
            raise ValueError(f"{text!r}: there is a budget for each {window} already")
        lines[window] = BudgetLine(scope="key", name=name, limit=limit, window=window)
    for text in warnings:
        share = _SHARE.fullmatch(text)
        if share is not None:
            lines = {
                window: replace(line, warn_at=Money(line.limit * int(share[1]) // 100))
                for window, line in lines.items()
            }
            continue
        amount, window = parse_amount(text)
        if window not in lines:
            raise ValueError(f"{text!r} warns of a budget that there is not: add one with /{window}")
        lines[window] = replace(lines[window], warn_at=amount)
    for line in lines.values():
        if line.warn_at is not None and line.warn_at > line.limit:
            raise ValueError(f"a warning at {amount_text(line.warn_at, line.window)} would come after the limit")
    return tuple(lines.values())


def amount_text(amount: Money, window: Window) -> str:
    """Write what `parse_amount` reads."""
    return f"{usd_text(amount)}USD/{window}"
