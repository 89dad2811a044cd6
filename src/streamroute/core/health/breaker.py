"""One upstream's breaker: closed, open (= blocking, in the sense of Nygard and Polly) and half_open, as a table.

Rules of the file:

1. Only what the upstream did counts; the client's errors, cancels and rate limits move nothing.
2. A call carries a permit with the generation it was given in. A late result of an older generation is ignored.
3. Half open, one call at a time goes through; its permit comes back on every path, also when the call is cancelled.
4. `open` lasts `OPEN_S` x 2^n, at most `MAX_OPEN_S`, with jitter so that sidecars do not return in step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from streamroute.core.health.standing import BreakerState

BreakerEvent = Literal["success", "failure", "timer"]

FAILURES_TO_OPEN = 3
"""Consecutive failures; linkerd2-proxy takes 7, Envoy and Finagle 5, at many times an LLM route's call rate."""
OPEN_S = 5.0
"""LiteLLM's cooldown; Polly and Resilience4j wait 5..60 s."""
MAX_OPEN_S = 60.0
JITTER = 0.2

TABLE: dict[tuple[BreakerState, BreakerEvent], BreakerState] = {
    ("closed", "success"): "closed",
    ("closed", "failure"): "open",  # the FAILURES_TO_OPEN-th in a row
    ("open", "success"): "closed",  # of a last resort: as good as a probe
    ("open", "failure"): "open",  # of a last resort: tells nothing new
    ("open", "timer"): "half_open",
    ("half_open", "success"): "closed",
    ("half_open", "failure"): "open",
}


@dataclass(slots=True, eq=False)
class Permit:
    """Leave to make one call; give it back exactly once, through `Breaker.settle`."""

    generation: int
    is_probe: bool
    is_settled: bool = False


class Breaker:
    """Decides whether an upstream may be called. Times are monotonic seconds."""

    __slots__ = ("_consecutive", "_generation", "_openings", "_probe", "_uniform", "changed_at", "reopens_at", "state")

    def __init__(self, uniform: Callable[[], float], now: float) -> None:
        """`uniform` draws from [0, 1): injected, so that a seed decides."""
        self._uniform = uniform
        self._consecutive = 0
        self._openings = 0
        self._generation = 0
        self._probe: Permit | None = None
        self.state: BreakerState = "closed"
        self.changed_at = now
        self.reopens_at: float | None = None
        """When an open breaker lets the next call through; None unless open."""

    def is_ready(self, now: float) -> bool:
        """Return whether a call may be made now."""
        self._tick(now)
        return self.state == "closed" or (self.state == "half_open" and self._probe is None)

    def admit(self, now: float, *, is_last_resort: bool = False) -> Permit | None:
        """Give a permit, or None where the upstream must not be called.

        A last resort is always admitted: with nobody else left, an upstream that is probably down beats none.
        """
        self._tick(now)
        if self.state == "closed":
            return Permit(self._generation, is_probe=False)
        if self.state == "half_open" and self._probe is None:
            self._probe = Permit(self._generation, is_probe=True)
            return self._probe
        return Permit(self._generation, is_probe=False) if is_last_resort else None

    def settle(self, permit: Permit, now: float, event: Literal["success", "failure"] | None) -> None:
        """Take a permit back; `event` None where the call says nothing about the upstream. Idempotent."""
        if permit.is_settled:
            return
        permit.is_settled = True
        if permit is self._probe:
            self._probe = None
        if event is None or permit.generation != self._generation:
            return
        self._consecutive = 0 if event == "success" else self._consecutive + 1
        if self.state == "closed" and self._consecutive < FAILURES_TO_OPEN:
            return
        state = TABLE[self.state, event]
        if state == self.state:
            return
        if state == "open":
            self.block(now)
        else:
            self._openings = 0
            self._move(state, now)

    def block(self, now: float, for_s: float | None = None) -> None:
        """Open, for `for_s` seconds or for the time that the number of openings gives."""
        if for_s is None:
            for_s = min(MAX_OPEN_S, OPEN_S * 2.0**self._openings) * (1 + JITTER * self._uniform())
            self._openings += 1
        self._move("open", now)
        self.reopens_at = now + for_s

    def _tick(self, now: float) -> None:
        if self.state == "open" and self.reopens_at is not None and now >= self.reopens_at:
            self._move(TABLE["open", "timer"], now)

    def _move(self, state: BreakerState, now: float) -> None:
        self.state = state
        self.changed_at = now
        self.reopens_at = None
        self._consecutive = 0
        self._probe = None
        self._generation += 1
