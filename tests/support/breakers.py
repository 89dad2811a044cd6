"""Breakers in each of their states, reached by what happens to them at literal times."""

from streamroute.core.health.breaker import (
    FAILURES_TO_OPEN,
    PROOFS_TO_RAMP,
    Breaker,
    Permit,
)
from streamroute.core.health.standing import BreakerState


def breaker(draw: float = 0.5) -> Breaker:
    return Breaker(lambda: draw, 0.0)


def admitted(subject: Breaker, now: float, *, last_resort: bool = False) -> Permit:
    permit = subject.admit(now, is_last_resort=last_resort)
    assert permit is not None
    return permit


def opened(draw: float = 0.5) -> Breaker:
    """Return a breaker that opened at 1.0."""
    subject = breaker(draw)
    for _ in range(FAILURES_TO_OPEN):
        subject.settle(admitted(subject, 1.0), 1.0, "failure")
    return subject


def ramping() -> Breaker:
    """Return a breaker that began to ramp at 3.0, with its three probes still streaming."""
    subject = opened()
    for _ in range(PROOFS_TO_RAMP):
        subject.proved(admitted(subject, 3.0), 3.0)
    return subject


def in_state(state: BreakerState) -> tuple[Breaker, float]:
    match state:
        case "closed":
            return breaker(), 1.0
        case "open":
            return opened(), 2.0
        case "half_open":
            return opened(), 3.0
        case "ramping":
            return ramping(), 3.0
