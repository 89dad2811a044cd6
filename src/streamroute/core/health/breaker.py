"""One upstream's breaker: closed, open (= blocking, in the sense of Nygard and Polly), half_open, ramping, as a table.

Rules of the file:

1. Only what the upstream did counts; the client's errors and cancels move nothing. A 429 moves a probe's breaker only.
2. A call carries a permit with the generation it was given in. The generation grows when the breaker opens and when it
   lets calls through again: late results of an older generation are ignored.
3. Half open, 1, then 2, then 4 probes go beside users' requests. A permit comes back on every path, also when the call
   is cancelled; a probe that came back without a verdict is followed by the next only after a pause, and that one is
   left to the prober for a while: where others answer sooner than a probe can, no probe beside a request lives to tell.
4. Streams count by how they end. A first token at healthy speed is proof enough for half_open and ramping, or the
   return would take as long as a stream.
5. The pause grows with the time the upstream has been down, so that a short outage ends soon and a long one is not
   hammered; with jitter, so that sidecars do not return in step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from streamroute.core.health.in_flight import Flight
from streamroute.core.health.standing import BreakerState

BreakerEvent = Literal["success", "failure", "proved", "tripped", "blocked", "timer", "forced_open", "forced_closed"]

FAILURES_TO_OPEN = 3
"""Consecutive failures; linkerd2-proxy takes 7, Envoy and Finagle 5, at many times an LLM route's call rate."""
FAILURES_TO_RELAPSE = 2
"""The same while ramping: it has just been down, so less is needed to believe it."""
OPEN_S = 2.0
"""The shortest pause between probes. LiteLLM cools down for 5 s, Polly breaks for 5 s, and a user's request is what
fails after that; our probes go beside one, so they may come sooner."""
MAX_OPEN_S = 30.0
"""The longest pause, reached after 8 minutes; OpenRouter remembers outages for 30 s."""
DOWN_PER_PAUSE = 16.0
"""A pause is this part of the time it has been down: after an outage it adds some 6 % to its length."""
MAX_DOUBLINGS = 3
"""Relapses double the shortest pause, up to 16 s."""
FORGET_RELAPSE_S = 60.0
"""Time closed after which one relapse is forgotten."""
JITTER = 0.2
"""Part of a pause by which it varies, either way; never below `OPEN_S`."""
PROBES = (1, 2, 4)
"""Probes that may be under way at once, by the number of proofs so far."""
PROOFS_TO_RAMP = len(PROBES)
LEFT_TO_PROBER_S = 4.0
"""The prober's longest wait between two probes of an upstream on its way back, and two of its looks."""
RAMP_S = 20.0
"""The longest time in ramping; Envoy's slow start has a window of this kind, without a default."""
RAMP_SHARES = (0.25, 0.5, 1.0)
"""Of a full share: a step for every proof, the slow start of TCP. At 5 requests a second the last one is reached in
2..3 s."""
RAMP_STEP_S = 0.5
"""The shortest time on each step: proofs that come in a burst say little about load."""
MIN_RAMP_IN_FLIGHT = 2

TABLE: dict[tuple[BreakerState, BreakerEvent], BreakerState] = {
    ("closed", "success"): "closed",
    ("closed", "failure"): "open",  # the FAILURES_TO_OPEN-th in a row
    ("closed", "proved"): "closed",
    ("closed", "tripped"): "open",
    ("closed", "blocked"): "open",
    ("open", "success"): "half_open",  # of a last resort: the first proof
    ("open", "failure"): "open",  # of a last resort: tells nothing new
    ("open", "proved"): "half_open",  # of a last resort
    ("open", "tripped"): "open",
    ("open", "blocked"): "open",
    ("open", "timer"): "half_open",
    ("half_open", "success"): "ramping",  # the PROOFS_TO_RAMP-th proof
    ("half_open", "failure"): "open",
    ("half_open", "proved"): "ramping",  # the PROOFS_TO_RAMP-th proof
    ("half_open", "tripped"): "open",
    ("half_open", "blocked"): "open",
    ("ramping", "success"): "ramping",
    ("ramping", "failure"): "open",  # the FAILURES_TO_RELAPSE-th in a row
    ("ramping", "proved"): "ramping",
    ("ramping", "tripped"): "open",
    ("ramping", "blocked"): "open",
    ("ramping", "timer"): "closed",
    ("closed", "forced_open"): "open",
    ("open", "forced_open"): "open",
    ("half_open", "forced_open"): "open",
    ("ramping", "forced_open"): "open",
    ("closed", "forced_closed"): "closed",
    ("open", "forced_closed"): "closed",
    ("half_open", "forced_closed"): "closed",
    ("ramping", "forced_closed"): "closed",
}


@dataclass(slots=True, eq=False)
class Permit:
    """Leave to make one call; give it back exactly once, through `Breaker.settle`."""

    generation: int
    is_probe: bool
    given_at: float = 0.0
    is_active: bool = False
    """The prober's own, beside no request."""
    is_proved: bool = False
    """Its answer has begun at a healthy speed, or has ended well: it counts as a proof once."""
    is_settled: bool = False
    flight: Flight | None = None
    """The call that is made by it; None until it starts."""


class Breaker:
    """Decides whether an upstream may be called. Times are monotonic seconds."""

    __slots__ = (
        "_down_since", "_failures", "_generation", "_in_flight", "_is_forced", "_next_probe_at", "_probes", "_proofs",
        "_step", "_uniform", "_untold", "changed_at", "openings", "reason", "reopens_at", "state",
    )  # fmt: skip

    def __init__(self, uniform: Callable[[], float], now: float) -> None:
        """`uniform` draws from [0, 1): injected, so that a seed decides."""
        self._uniform = uniform
        self._generation = 0
        self._failures = 0  # in a row
        self._in_flight = 0  # calls of this generation
        self._probes = 0  # those of them that are probes and have no verdict yet
        self._proofs = 0  # since half open
        self._untold = False  # the last probe beside a request has ended without a verdict
        self._step = 0  # of RAMP_SHARES
        self._next_probe_at = now
        self._down_since = now
        self._is_forced = False
        self.state: BreakerState = "closed"
        self.changed_at = now
        self.reopens_at: float | None = None
        """When an open breaker lets the next call through; None unless open, and where an operator opened it."""
        self.reason = ""
        """In words, for people: why it is in its state."""
        self.openings = 0
        """Outages and relapses that are not forgotten yet."""

    def is_ready(self, now: float) -> bool:
        """Return whether a call may be made now, not counting last resorts."""
        if self.state != "closed":
            self._tick(now)
        if self.state == "ramping":
            return self._in_flight < self.in_flight_limit
        return self.state == "closed" or self.wants_probe(now)

    def wants_probe(self, now: float, *, is_active: bool = False) -> bool:
        """Return whether the next permit would be a probe: half open, with one of its permits free.

        `is_active`: asked by the prober, whose turn comes first where probes beside requests have told nothing.
        """
        if self.state != "closed":
            self._tick(now)
        due_at = self._next_probe_at + (LEFT_TO_PROBER_S if self._untold and not is_active else 0.0)
        return self.state == "half_open" and now >= due_at and self._probes < PROBES[self._proofs]

    def share(self, now: float) -> float:
        """Return how much of a full share of the traffic it may have, 0..1. Probes are not part of it."""
        if self.state != "closed":
            self._tick(now)
        if self.state == "ramping":
            return RAMP_SHARES[min(self._step, int((now - self.changed_at) / RAMP_STEP_S), len(RAMP_SHARES) - 1)]
        return 1.0 if self.state == "closed" else 0.0

    @property
    def in_flight_limit(self) -> float:
        """Calls that may be under way at once while ramping: twice what has been proved. Infinite elsewhere."""
        return max(MIN_RAMP_IN_FLIGHT, 2 * self._proofs) if self.state == "ramping" else float("inf")

    @property
    def is_forced(self) -> bool:
        """An operator has opened it: it stays so until an operator closes it."""
        return self._is_forced

    def admit(self, now: float, *, is_last_resort: bool = False, is_active: bool = False) -> Permit | None:
        """Give a permit, or None where the upstream must not be called.

        A last resort is admitted in every state: with nobody else left, an upstream that is probably down beats none.
        Only one that an operator took out is left alone. `is_active`: see `wants_probe`.
        """
        is_probe = False
        if self.state != "closed":
            is_probe = self.wants_probe(now, is_active=is_active)
            if not is_probe and not self.is_ready(now) and (not is_last_resort or self._is_forced):
                return None
            self._probes += is_probe
        self._in_flight += 1
        return Permit(self._generation, is_probe, now, is_active)

    def proved(self, permit: Permit, now: float) -> None:
        """Learn that the call's first token came at a healthy speed; how it ends is told to `settle`. Idempotent."""
        self._tick(now)
        if not permit.is_settled and permit.generation == self._generation:
            self._well(permit, "proved", now)

    def settle(self, permit: Permit, now: float, event: Literal["success", "failure"] | None) -> None:
        """Take a permit back; `event` None where the call says nothing about the upstream. Idempotent.

        A probe's 429 is a `failure`: the upstream is not ready for traffic (linkerd2-proxy holds it so too).
        """
        if permit.is_settled:
            return
        if self.state != "closed":
            self._tick(now)
        permit.is_settled = True
        if permit.generation != self._generation:
            return
        self._in_flight -= 1
        if event == "success":
            self._failures = 0
            if not permit.is_proved:
                self._well(permit, event, now)
            return
        if permit.is_probe and not permit.is_proved:
            self._probes -= 1
            self._untold = event is None or (self._untold and permit.is_active)
            if event is None:
                self._next_probe_at = max(self._next_probe_at, permit.given_at + self._pause_s(now))
        if event == "failure":
            self._badly(now)

    def trip(self, now: float, reason: str) -> None:
        """Open on evidence that was gathered elsewhere."""
        self._tick(now)
        if self.state != "open":
            self._open("tripped", now, reason)

    def block(self, now: float, for_s: float, reason: str = "blocked") -> None:
        """Open for `for_s` seconds; an open one stays so at least as long."""
        self._tick(now)
        if self._is_forced:
            return
        until = max(now + for_s, self.reopens_at or now)
        if self.state == "open":
            self.reason = reason
        else:
            self._open("blocked", now, reason)
        self.reopens_at = until

    def unblock(self, now: float) -> None:
        """End the pause of an open breaker, not one that an operator has opened: the next call is a probe."""
        if self.state == "open" and not self._is_forced:
            self.reopens_at = now

    def force(self, state: Literal["open", "closed"], now: float, reason: str = "forced by an operator") -> None:
        """Do as an operator says. `open` stays open until `closed` is forced; `closed` begins with a clean slate."""
        self._tick(now)
        if state == "open":
            self._open("forced_open", now, reason)
            self.reopens_at = None
        else:
            self.openings = 0
            self._move(TABLE[self.state, "forced_closed"], now, reason)
            self._renew()
        self._is_forced = state == "open"

    def _well(self, permit: Permit, event: Literal["success", "proved"], now: float) -> None:
        """Count an answer that is well, once."""
        if permit.is_proved:
            return
        permit.is_proved = True
        self._probes -= permit.is_probe
        self._untold &= permit.is_active
        if self._is_forced or self.state == "closed":
            return
        if self.state == "open":
            self._move(TABLE["open", event], now, "a last resort answered")
            self._renew()
        elif self.state == "ramping":
            self._step += 1
            self._failures = 0
        self._proofs += 1
        self._next_probe_at = now
        if self.state == "half_open" and self._proofs == PROOFS_TO_RAMP:
            self._move(TABLE["half_open", event], now, f"{PROOFS_TO_RAMP} probes answered well")

    def _badly(self, now: float) -> None:
        """Count a failure. An open one learns nothing new from it."""
        self._failures += 1
        if self.state == "half_open":
            self._open("failure", now, "a probe failed")
        elif self.state == "ramping":
            self._step, self._proofs = 0, self._proofs // 2
            if self._failures >= FAILURES_TO_RELAPSE:
                self._open("failure", now, f"{self._failures} failures in a row on its return")
        elif self.state == "closed" and self._failures >= FAILURES_TO_OPEN:
            self._open("failure", now, f"{self._failures} failures in a row")

    def _open(self, event: BreakerEvent, now: float, reason: str) -> None:
        if self.state == "closed":
            self._down_since = now
            self.openings = max(0, self.openings - int((now - self.changed_at) / FORGET_RELAPSE_S))
        if self.state in {"closed", "ramping"}:
            self.openings += 1
        self._move(TABLE[self.state, event], now, reason)
        self._renew()
        self.reopens_at = now + self._pause_s(now)

    def _pause_s(self, now: float) -> float:
        """Return the time until the next probe."""
        shortest_s = OPEN_S * 2.0 ** min(MAX_DOUBLINGS, max(0, self.openings - 1))
        pause_s = min(MAX_OPEN_S, max(shortest_s, (now - self._down_since) / DOWN_PER_PAUSE))
        pause_s *= 1 - JITTER + 2 * JITTER * self._uniform()
        return OPEN_S + abs(pause_s - OPEN_S)  # mirrored at the least, not cut off there: half would come at once

    def _tick(self, now: float) -> None:
        if self.state == "open" and self.reopens_at is not None and now >= self.reopens_at:
            self._move(TABLE["open", "timer"], now, "it is time for a probe")
            self._renew()
        elif self.state == "ramping" and now - self.changed_at >= RAMP_S:
            self.openings = max(0, self.openings - 1)
            self._move(TABLE["ramping", "timer"], now, "well again")

    def _move(self, state: BreakerState, now: float, reason: str) -> None:
        self.state, self.changed_at, self.reason = state, now, reason
        self.reopens_at = None
        self._step = self._failures = 0

    def _renew(self) -> None:
        """Begin a generation: what is under way from before counts no more."""
        self._generation += 1
        self._in_flight = self._probes = self._proofs = 0
        self._untold = False
        self._next_probe_at = self.changed_at
