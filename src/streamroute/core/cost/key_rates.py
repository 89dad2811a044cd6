"""How much each key may ask for in a minute: requests and tokens.

The generic cell rate algorithm (ITU-T I.371), as a bucket that leaks: what was used drains evenly, a whole limit in a
minute, and a request is let in where it fits on top. So a whole minute's worth may come at once, and no more than that
plus what has drained since; there is no edge of a window at which twice as much would pass.

Tokens are reserved by an estimate, as OpenAI does it: the prompt by its size, and `max_tokens` where it was said.
`settle` puts the real ones in their place. A reservation is never more than the whole limit: a request with a large
`max_tokens` waits until the bucket is empty, rather than for ever, and what it really took drains before the next.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from streamroute.core.caller import Caller
from streamroute.core.rate_limit import RateLimitReport

WINDOW_S = 60.0
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was taken of a key's limits."""

    key_id: str | None
    """None: there is no limit of tokens, and nothing to settle."""
    tokens: int = 0


UNLIMITED = Reservation(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverLimit:
    """The request does not fit now."""

    kind: Literal["requests", "tokens"]
    limit: int
    used: int
    requested: int
    retry_after_s: float | None
    """Until it would fit; None: never, its prompt alone is larger than the limit."""


@dataclass(slots=True)
class _Bucket:
    used: float = 0.0
    at: float = 0.0

    def drain(self, limit: int, now: float) -> float:
        """Return what is used at `now`."""
        self.used = max(0.0, self.used - (now - self.at) * limit / WINDOW_S)
        self.at = now
        return self.used


@dataclass(slots=True)
class _Buckets:
    requests: _Bucket
    tokens: _Bucket


class KeyRates:
    """The buckets of all keys. Times are monotonic seconds. Limits come with each question: they may change."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Buckets] = {}

    def reserve(self, caller: Caller, *, prompt_tokens: int, output_tokens: int, now: float) -> Reservation | OverLimit:
        """Take one request and its estimated tokens, or nothing at all; what was taken must be settled."""
        buckets = self._of(caller, now)
        if buckets is None:
            return UNLIMITED
        requests, limit = caller.requests_per_min, caller.tokens_per_min
        tokens = 0
        if requests is not None:
            over = _over("requests", buckets.requests, requests, 1, now)
            if over is not None:
                return over
        if limit is not None:
            tokens = prompt_tokens if prompt_tokens > limit else min(prompt_tokens + output_tokens, limit)
            over = _over("tokens", buckets.tokens, limit, tokens, now)
            if over is not None:
                return over
            buckets.tokens.used += tokens
        if requests is not None:
            buckets.requests.used += 1
        return UNLIMITED if limit is None else Reservation(caller.key_id, tokens)

    def settle(self, reservation: Reservation, tokens: int) -> None:
        """Put the tokens that were really used in the place of the reserved ones."""
        buckets = None if reservation.key_id is None else self._buckets.get(reservation.key_id)
        if buckets is not None:
            buckets.tokens.used = max(0.0, buckets.tokens.used + tokens - reservation.tokens)

    def report(self, caller: Caller, now: float) -> RateLimitReport | None:
        """Return what is left; None for a caller without limits."""
        buckets = self._of(caller, now)
        if buckets is None:
            return None
        requests, tokens = caller.requests_per_min, caller.tokens_per_min
        return RateLimitReport(
            limit_requests=requests,
            remaining_requests=_remaining(buckets.requests, requests, now),
            reset_requests_s=_reset_s(buckets.requests, requests),
            limit_tokens=tokens,
            remaining_tokens=_remaining(buckets.tokens, tokens, now),
            reset_tokens_s=_reset_s(buckets.tokens, tokens),
        )

    def keep(self, key_ids: Collection[str]) -> None:
        """Forget all other keys."""
        self._buckets = {id_: buckets for id_, buckets in self._buckets.items() if id_ in key_ids}

    def _of(self, caller: Caller, now: float) -> _Buckets | None:
        if caller.key_id is None or (caller.requests_per_min is None and caller.tokens_per_min is None):
            return None
        buckets = self._buckets.get(caller.key_id)
        if buckets is None:
            buckets = self._buckets[caller.key_id] = _Buckets(_Bucket(at=now), _Bucket(at=now))
        return buckets


def _over(
    kind: Literal["requests", "tokens"], bucket: _Bucket, limit: int, amount: int, now: float
) -> OverLimit | None:
    used = bucket.drain(limit, now)
    excess = used + amount - limit
    if excess <= _ROUNDING:
        return None
    wait_s = None if amount > limit else excess * WINDOW_S / limit
    return OverLimit(kind=kind, limit=limit, used=round(used), requested=amount, retry_after_s=wait_s)


def _remaining(bucket: _Bucket, limit: int | None, now: float) -> int | None:
    return None if limit is None else max(0, int(limit - bucket.drain(limit, now) + _ROUNDING))


def _reset_s(bucket: _Bucket, limit: int | None) -> float | None:
    """Return when it would be empty, as `_remaining` has left it."""
    return None if limit is None else bucket.used * WINDOW_S / limit
