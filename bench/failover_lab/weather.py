"""The truth about a provider at each moment: what is wrong with it, from when until when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

BREACH_FACTOR = 2.5
"""A first token this many times later than normal is a breach of the objective; as in `HealthOptions.slo_factor`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is wrong. The defaults say: nothing. Ratios are shares of the calls, 0..1, drawn one after the other."""

    slow: float = 1.0
    """Times to the first token are this many times the normal."""
    slow_to: float | None = None
    """They grow linearly from `slow` to this over the segment; None: they do not."""
    pace: float = 1.0
    """Gaps between tokens are this many times the normal."""
    refused: float = 0.0
    error: float = 0.0
    status: int = 503
    hang: float = 0.0
    """Nothing comes: half of them before the headers, half after the role delta."""
    hang_after_head: float = 0.0
    """Headers and role delta come, then nothing."""
    tail: float = 0.01
    """Share of calls with a far later first token. The default is of the order seen at hosted models."""
    tail_from: float = 3.0
    tail_to: float = 15.0
    """They take between so many times as long."""
    cut: float = 0.0
    """The connection breaks at a random token."""
    stall: float = 0.0
    """Tokens cease at a random one; the connection stays."""
    truncated: float = 0.0
    """The stream ends at a random token without a finish reason."""
    stream_error: float = 0.0
    """An error event comes at a random token."""
    limited: float = 0.0
    """429."""
    retry_after_s: float | None = None
    auth: float = 0.0
    """401."""
    capacity_rps: float | None = None
    """Calls beyond this rate are answered with 529."""
    quota_rpm: int | None = None
    """Calls a minute; told by headers, and 429 with Retry-After beyond."""
    congestion_at: float | None = None
    """Calls in flight from which on it slows down, by the square of the excess."""

    @property
    def failing(self) -> float:
        """Share of calls that do not become whole answers, as far as that is fixed."""
        well = 1.0
        for share in (
            self.refused, self.error, self.hang, self.hang_after_head, self.limited, self.auth,
            self.cut, self.stall, self.truncated, self.stream_error,
        ):  # fmt: skip
            well *= 1 - share
        return 1 - well


WELL = Condition()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A condition for a while. Seconds of the run; `until_s` is exclusive."""

    from_s: float
    until_s: float
    condition: Condition

    def slow_at(self, now: float) -> float:
        """Return how many times as long a first token takes."""
        condition = self.condition
        if condition.slow_to is None:
            return condition.slow
        share = (now - self.from_s) / (self.until_s - self.from_s)
        return condition.slow + (condition.slow_to - condition.slow) * share


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """One provider's conditions over a run."""

    segments: Sequence[Segment] = ()
    normally: Condition = WELL
    """Where no segment is: how it is when well."""

    def at(self, now: float) -> tuple[Condition, float]:
        """Return the condition, and how many times as long a first token takes."""
        for segment in self.segments:
            if segment.from_s <= now < segment.until_s:
                return segment.condition, segment.slow_at(now)
        return self.normally, self.normally.slow

    def is_well(self, now: float, *, for_s: float = 0.0) -> bool:
        """Return whether nothing is wrong, and nothing was in the last `for_s` seconds."""
        return not any(
            segment.from_s <= now and now - for_s < segment.until_s and segment.condition != self.normally
            for segment in self.segments
        )

    def breach_s(self, onset_s: float) -> float | None:
        """Return when a client that never steers would first see a failure or a breach of the objective."""
        step_s = 0.1
        last = max((segment.until_s for segment in self.segments), default=onset_s)
        for i in range(int((last - onset_s) / step_s)):
            now = onset_s + i * step_s
            condition, slow = self.at(now)
            if slow >= BREACH_FACTOR * self.normally.slow or condition.failing > self.normally.failing:
                return now
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One simulated provider when it is well, and its weather.

    The figures of the cast are those of the simulations that the targets come from: medians of 0.45, 0.5 and 0.6 s,
    lognormal with sigma 0.35 (published llmperf runs lie between 0.16 and 0.6).
    """

    name: str
    ttft_s: float = 0.5
    """The median, for a prompt of `NORMAL_PROMPT_TOKENS`."""
    sigma: float = 0.35
    tpot_s: float = 0.02
    domain: str = ""
    """What it fails together with; its name by default."""
    weather: Weather = field(default_factory=Weather)
    bills_cancelled: bool = False
    continues: Literal["prefill", "instructed"] = "prefill"
    credential: str = ""
    """Whose quota it draws on; its own by default."""
