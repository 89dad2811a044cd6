"""How good the predictions are: for each time that traffic was steered away, what came of it.

Lead time = first breach - steer: positive where traffic had moved before the first request failed or was later than the
latency objective. A steer that no breach follows within a minute, and none went before, was false.
"""

from dataclasses import dataclass

FOLLOWS_WITHIN_S = 60.0
"""A fault that was foreseen shows within a minute, or it was none."""
EPISODE_GAP_S = 10.0
"""Breaches further apart than this before a steer belong to another story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Counts since the start."""

    steers: int = 0
    confirmed: int = 0
    """A breach came first or followed."""
    predicted: int = 0
    """Of these, the steer came before the first breach."""
    false_steers: int = 0
    last_lead_s: float | None = None
    """Of the last confirmed one; negative where the breach came first."""


class Scorecard:
    """One upstream's score. Times are monotonic seconds."""

    __slots__ = (
        "_confirmed", "_episode_at", "_false", "_last_breach_at", "_last_lead_s", "_predicted", "_steers", "is_steered",
        "pending_at",
    )  # fmt: skip

    def __init__(self) -> None:
        self._steers = self._confirmed = self._predicted = self._false = 0
        self._last_lead_s: float | None = None
        self.pending_at: float | None = None
        """When the last steer was that is neither confirmed nor refuted."""
        self._episode_at: float | None = None
        self._last_breach_at = float("-inf")
        self.is_steered = False
        """Traffic was kept away at the last look."""

    def steered(self, now: float, *, is_steered: bool) -> None:
        """Learn whether traffic is steered away now."""
        if self.pending_at is not None and now - self.pending_at > FOLLOWS_WITHIN_S:
            self._false += 1
            self.pending_at = None
        if is_steered == self.is_steered:
            return
        self.is_steered = is_steered
        if not is_steered or self.pending_at is not None:
            return
        self._steers += 1
        if self._episode_at is not None and now - self._last_breach_at <= EPISODE_GAP_S:
            self._confirm(self._episode_at - now)
        else:
            self.pending_at = now

    def breached(self, now: float) -> None:
        """Learn of a failure that counts, or of a first token later than the objective."""
        if self._episode_at is None or now - self._last_breach_at > EPISODE_GAP_S:
            self._episode_at = now
        self._last_breach_at = now
        if self.pending_at is not None and now - self.pending_at <= FOLLOWS_WITHIN_S:
            self._confirm(now - self.pending_at)
            self.pending_at = None

    def score(self) -> Score:
        """Return the counts."""
        return Score(
            steers=self._steers,
            confirmed=self._confirmed,
            predicted=self._predicted,
            false_steers=self._false,
            last_lead_s=self._last_lead_s,
        )

    def _confirm(self, lead_s: float) -> None:
        self._confirmed += 1
        self._predicted += lead_s > 0.0
        self._last_lead_s = lead_s
