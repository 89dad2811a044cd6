"""How much of a credential's rate limit is left, before the first 429; and what an upstream bears, after it.

Providers name what is left with every answer; what we have sent since is ours to count. That makes exhaustion
predictable, not a matter of statistics.
"""

from collections import deque
from math import exp, inf

from streamroute.core.rate_limit import RateLimitReport

SCALE_BELOW_S = 10.0
"""With less than this left until exhaustion, the share shrinks in proportion."""
BURN_TAU_S = 10.0
MAX_WAIT_S = 120.0
"""The longest that a report without a 429 keeps us away; `Retry-After` is capped by who parsed it."""
NO_RESET_S = 1.0
"""The wait where nothing is left and no end is named."""
MAX_SENT = 512
"""Calls that are remembered since the last report."""
CUT = 0.7
GROWTH, GROWTH_EVERY_S = 1.05, 10.0
CUT_EVERY_S = 1.0
FORGET_AFTER_S = 600.0
"""A learned limit that was not met again for ten minutes is forgotten."""


class Headroom:
    """One credential's window. Times are monotonic seconds."""

    __slots__ = (
        "_burn_at",
        "_burn_began_at",
        "_requests",
        "_requests_left",
        "_reset_requests_at",
        "_reset_tokens_at",
        "_sent",
        "_sent_tokens",
        "_tokens",
        "_tokens_left",
        "reported_at",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self.reported_at = -inf
        self._sent: deque[tuple[float, int]] = deque()
        self._sent_tokens = 0
        self._requests = self._tokens = 0.0
        self._burn_at = self._burn_began_at = now
        self._requests_left: int | None = None
        self._tokens_left: int | None = None
        self._reset_requests_at = self._reset_tokens_at = -inf

    def sent(self, now: float, prompt_tokens: int) -> None:
        """Count a call that starts."""
        if now > self._burn_at:
            keep = exp((self._burn_at - now) / BURN_TAU_S)
            self._requests *= keep
            self._tokens *= keep
            self._burn_at = now
        self._requests += 1.0
        self._tokens += prompt_tokens
        self._sent.append((now, prompt_tokens))
        self._sent_tokens += prompt_tokens
        if len(self._sent) > MAX_SENT:
            self._forget_oldest()

    def reported(self, report: RateLimitReport, at: float) -> None:
        """Take what a provider said at `at`; older reports than the last, and nonsense such as -1 of 0, are ignored."""
        if at < self.reported_at:
            return
        requests = _sane(report.remaining_requests, report.limit_requests)
        tokens = _sane(report.remaining_tokens, report.limit_tokens)
        if requests is None and tokens is None:
            return
        self.reported_at = at
        self._requests_left, self._tokens_left = requests, tokens
        self._reset_requests_at = at + _wait_s(report.reset_requests_s)
        self._reset_tokens_at = at + _wait_s(report.reset_tokens_s)
        while self._sent and self._sent[0][0] <= at:
            self._forget_oldest()

    def blocked_until(self, now: float, prompt_tokens: int = 0) -> float | None:
        """Return when calls may go on, None where they may now. What is under way counts as used."""
        until = -inf
        is_counted = self._requests_left is not None and now < self._reset_requests_at
        if is_counted and (self._requests_left or 0) - len(self._sent) <= 0:
            until = max(until, self._reset_requests_at)
        if self._tokens_left is not None and now < self._reset_tokens_at:
            left = self._tokens_left - self._sent_tokens
            if left <= 0 or left < prompt_tokens:
                until = max(until, self._reset_tokens_at)
        return until if until > now else None

    def exhausted_in_s(self, now: float) -> float:
        """Return the seconds until it is used up at our present pace; infinite where it resets before."""
        span = BURN_TAU_S * (1.0 - exp((self._burn_began_at - now - 1.0) / BURN_TAU_S))
        keep = exp(min(0.0, self._burn_at - now) / BURN_TAU_S) / span
        requests_per_s, tokens_per_s = self._requests * keep, self._tokens * keep  # both 0 after two hours of silence
        soonest = inf
        if self._requests_left is not None and requests_per_s > 0.0:
            left = max(0, self._requests_left - len(self._sent)) / requests_per_s
            if now + left < self._reset_requests_at:
                soonest = left
        if self._tokens_left is not None and tokens_per_s > 0.0:
            left = max(0, self._tokens_left - self._sent_tokens) / tokens_per_s
            if now + left < self._reset_tokens_at:
                soonest = min(soonest, left)
        return soonest

    def share(self, now: float) -> float:
        """Return 0..1: what is left of a full share."""
        return min(1.0, self.exhausted_in_s(now) / SCALE_BELOW_S)

    def _forget_oldest(self) -> None:
        self._sent_tokens -= self._sent.popleft()[1]


class LearnedLimit:
    """Calls in flight that an upstream bears: cut by refusals, growing back (AIMD, Chiu and Jain 1989)."""

    __slots__ = ("_cut_at", "_limit")

    def __init__(self) -> None:
        self._limit = inf
        self._cut_at = -inf

    def refused(self, now: float, in_flight: int) -> None:
        """Take a refusal of one of `in_flight` calls."""
        if now - self._cut_at < CUT_EVERY_S:
            return
        self._limit = max(1.0, CUT * min(self.at(now), float(max(in_flight, 1))))
        self._cut_at = now

    def succeeded(self, now: float) -> None:
        """Take a call that was served: the limit grows by one, so that it doubles with every round of calls."""
        if now - self._cut_at <= FORGET_AFTER_S:
            self._limit += 1.0

    def at(self, now: float) -> float:
        """Return the limit; infinite where none is known."""
        since_s = now - self._cut_at
        if since_s > FORGET_AFTER_S:
            return inf
        return float(self._limit * GROWTH ** (since_s / GROWTH_EVERY_S))


def _sane(remaining: int | None, limit: int | None) -> int | None:
    if remaining is None or remaining < 0 or (limit is not None and (limit <= 0 or remaining > limit)):
        return None
    return remaining


def _wait_s(reset_s: float | None) -> float:
    return NO_RESET_S if reset_s is None else min(max(reset_s, 0.0), MAX_WAIT_S)
