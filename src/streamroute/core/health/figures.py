"""What people read of one upstream: counts, percentiles, evidence in numbers and words."""

import math
from dataclasses import dataclass

from streamroute.core.health.scorecard import Score
from streamroute.core.outcome import FailureKind

NO_SCORE = Score()
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
    """Percentiles of the recent times to first token; where none came, of how long was waited for it."""
    ttft_p95_s: float | None
    ttft_p99_s: float | None = None
    tpot_p50_s: float | None = None
    last_success_at: float | None
    recent_errors: tuple[RecentError, ...]
    """Newest first."""
    risk: float = 0.0
    """0..1: how much of its weight is gone."""
    reason: str = ""
    slowness_nats: float = 0.0
    decode_nats: float = 0.0
    error_nats: float = 0.0
    waiting_nats: float = 0.0
    """Of calls under way without a first token."""
    threshold_nats: float = 0.0
    """Of slowness: traffic moves away at it."""
    trend_per_s: float = 0.0
    """Growth of ln(time to first token)."""
    breach_in_s: float | None = None
    """Until the trend misses the latency objective; None where it does not point there."""
    normal_ttft_s: float | None = None
    """The baseline's median, for an empty prompt."""
    changed_at: float = 0.0
    """When its breaker last changed its state."""
    next_probe_at: float | None = None
    score: Score = NO_SCORE


def quantile(ordered: list[float], q: float) -> float | None:
    """Return the nearest-rank `q` quantile (0..1) of an ascending list, None of an empty one."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None
