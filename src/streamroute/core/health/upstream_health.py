"""One upstream's recent past: figures for people, and the breaker that acts on them."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from streamroute.core.health.breaker import Breaker, Permit
from streamroute.core.health.classify import disposition
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import FailureKind

RECENT_ATTEMPTS = 100
"""How many ended attempts the figures look back on; Resilience4j's window."""
RECENT_ERRORS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentError:
    """A failure worth showing to an operator."""

    ended_at: float
    kind: FailureKind
    message: str
    http_status: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFigures:
    """What `/status` and routing read of an upstream, at one moment."""

    in_flight: int
    attempts: int
    succeeded: int
    failed: int
    cancelled: int
    error_ratio: float | None
    """Of the last `RECENT_ATTEMPTS` that say something about the upstream; None without any."""
    ttft_p50_s: float | None
    ttft_p95_s: float | None
    last_success_at: float | None
    recent_errors: tuple[RecentError, ...]
    """Newest first."""


class UpstreamHealth:
    """Counts what happened to one upstream."""

    __slots__ = (
        "_attempts", "_cancelled", "_errors", "_failed", "_in_flight", "_last_success_at", "_outcomes", "_succeeded",
        "_ttfts_s", "breaker",
    )  # fmt: skip

    def __init__(self, uniform: Callable[[], float], now: float) -> None:
        self.breaker = Breaker(uniform, now)
        self._in_flight = 0
        self._attempts = self._succeeded = self._failed = self._cancelled = 0
        self._outcomes: deque[bool] = deque(maxlen=RECENT_ATTEMPTS)
        self._ttfts_s: deque[float] = deque(maxlen=RECENT_ATTEMPTS)
        self._errors: deque[RecentError] = deque(maxlen=RECENT_ERRORS)
        self._last_success_at: float | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing is in flight."""
        return self._in_flight == 0

    def started(self) -> None:
        """Count an attempt in flight; `ended` must follow."""
        self._in_flight += 1

    def abandoned(self, permit: Permit, now: float) -> None:
        """Forget an attempt that was counted as started and never made."""
        self._in_flight -= 1
        self.breaker.settle(permit, now, None)

    def ended(self, permit: Permit, observation: AttemptObservation) -> None:
        """Learn from an attempt that is over, however it ended."""
        now = observation.ended_at
        self._in_flight -= 1
        self._attempts += 1
        if observation.ttft_s is not None:
            self._ttfts_s.append(observation.ttft_s)
        if observation.outcome == "succeeded":
            self._succeeded += 1
            self._outcomes.append(True)
            self._last_success_at = now
            self.breaker.settle(permit, now, "success")
        elif observation.outcome == "cancelled" or observation.failure is None:
            self._cancelled += 1
            self.breaker.settle(permit, now, None)
        else:
            self._failed += 1
            failure = observation.failure
            meaning = disposition(failure.kind)
            self._errors.appendleft(
                RecentError(ended_at=now, kind=failure.kind, message=failure.message, http_status=failure.http_status)
            )
            counts = meaning.counts and not failure.is_clients_limit
            if counts:
                self._outcomes.append(False)
            self.breaker.settle(permit, now, "failure" if counts else None)
            if meaning.blocks_for_s is not None:
                self.breaker.block(now, meaning.blocks_for_s)

    def figures(self) -> HealthFigures:
        """Return the figures as they stand."""
        ttfts_s = sorted(self._ttfts_s)
        outcomes = self._outcomes
        return HealthFigures(
            in_flight=self._in_flight,
            attempts=self._attempts,
            succeeded=self._succeeded,
            failed=self._failed,
            cancelled=self._cancelled,
            error_ratio=1 - sum(outcomes) / len(outcomes) if outcomes else None,
            ttft_p50_s=quantile(ttfts_s, 0.5),
            ttft_p95_s=quantile(ttfts_s, 0.95),
            last_success_at=self._last_success_at,
            recent_errors=tuple(self._errors),
        )


def quantile(ordered: list[float], q: float) -> float | None:
    """Return the nearest-rank `q` quantile (0..1) of an ascending list, None of an empty one."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None
