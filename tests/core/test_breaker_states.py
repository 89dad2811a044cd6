"""Every state that a breaker can reach in a few steps with up to three calls under way: none is stuck or loses one.

An exhaustive search, breadth first, in the manner of TLA+'s model checker; times come in steps of seconds.
"""

from collections.abc import Iterator
from typing import Literal

from streamroute.core.health.breaker import PROBES, Breaker, Permit

MAX_OUT = 3
DEPTH = 8
WAITS_S = (2.0, 20.0)
MAX_RETURN_S = 400.0
"""The longest pause, three probes and a ramp, with room to spare."""

EVENTS: tuple[Literal["success", "failure"] | None, ...] = ("success", "failure", None)

Node = tuple[Breaker, tuple[Permit, ...], float]


def twin_of(breaker: Breaker) -> Breaker:
    """Return a copy, in a third of the time of `copy.copy`."""
    twin = Breaker.__new__(Breaker)
    for name in Breaker.__slots__:
        setattr(twin, name, getattr(breaker, name))
    return twin


def copy_of(permit: Permit) -> Permit:
    return Permit(*[getattr(permit, name) for name in Permit.__slots__])


def key(node: Node) -> tuple[object, ...]:
    """Return what decides the future, relative to now; what is far away is alike."""
    breaker, permits, now = node
    told = [told_apart(each, breaker, now) for each in permits]
    return (*key_of_breaker(breaker, now), *(sorted(told) if len(told) > 1 else told))


def key_of_breaker(breaker: Breaker, now: float) -> tuple[object, ...]:
    return (
        breaker.state,
        breaker._failures,
        breaker._in_flight,
        breaker._probes,
        min(breaker._proofs, 5),
        min(breaker._step, 2),
        breaker._untold,
        min(breaker.openings, 4),
        breaker.is_forced,
        None if breaker.reopens_at is None else max(0.0, breaker.reopens_at - now),
        max(0.0, breaker._next_probe_at - now),
        min(now - breaker.changed_at, 20.0),
        min(now - breaker._down_since, 60.0),
    )


def told_apart(permit: Permit, breaker: Breaker, now: float) -> tuple[bool, bool, bool, bool, float]:
    """Return what one permit differs from another by."""
    is_fresh = permit.generation == breaker._generation
    return is_fresh, permit.is_probe, permit.is_proved, permit.is_active, min(now - permit.given_at, 20.0)


def steps(node: Node) -> Iterator[Node]:
    """Give every state that one step leads to. Permits that a step leaves alone are shared."""
    before, permits, now = node
    if len(permits) < MAX_OUT:
        for is_last_resort, is_active in ((False, False), (True, False), (False, True)):
            breaker = twin_of(before)
            given = breaker.admit(now, is_last_resort=is_last_resort, is_active=is_active)
            yield breaker, permits if given is None else (*permits, given), now
    told = [told_apart(each, before, now) for each in permits]
    for index, permit in enumerate(permits):
        if told[index] in told[:index]:
            continue  # of two alike, one will do
        others = permits[:index] + permits[index + 1 :]
        breaker, proved = twin_of(before), copy_of(permit)
        breaker.proved(proved, now)
        yield breaker, (*others, proved), now
        for event in EVENTS:
            breaker = twin_of(before)
            settle_and_check(breaker, copy_of(permit), now, event)
            yield breaker, others, now
    for seconds in WAITS_S:
        breaker = twin_of(before)
        breaker.is_ready(now + seconds)
        yield breaker, permits, now + seconds
    for act in ("trip", "block", "open", "closed"):
        breaker = twin_of(before)
        match act:
            case "trip":
                breaker.trip(now, "errors")
            case "block":
                breaker.block(now, 40.0)
            case "open" | "closed":
                breaker.force(act, now)
        yield breaker, permits, now


def settle_and_check(breaker: Breaker, permit: Permit, now: float, event: Literal["success", "failure"] | None) -> None:
    """A stale permit moves nothing, and neither does a second return."""
    breaker.is_ready(now)
    before, is_stale = key_of_breaker(breaker, now), permit.generation != breaker._generation
    breaker.settle(permit, now, event)
    after = key_of_breaker(breaker, now)
    assert not is_stale or after == before
    for again in EVENTS:
        breaker.settle(permit, now, again)
        breaker.proved(permit, now)
    assert key_of_breaker(breaker, now) == after


def check_permits(node: Node) -> None:
    """What is counted is what is out, and probes stay within their limit."""
    breaker, permits, _ = node
    out = [each for each in permits if each.generation == breaker._generation]
    probes = sum(each.is_probe and not each.is_proved for each in out)
    assert (breaker._in_flight, breaker._probes) == (len(out), probes)
    assert breaker.state != "half_open" or probes <= PROBES[breaker._proofs]


def check_return(node: Node) -> None:
    """Given time and successes it closes; one that was forced open closes by force alone."""
    before, permits, now = node
    breaker = twin_of(before)
    for permit in permits:
        breaker.settle(copy_of(permit), now, None)
    if breaker.is_forced:
        assert not breaker.is_ready(now + MAX_RETURN_S)
        breaker.force("closed", now)
    until = now + MAX_RETURN_S
    while breaker.state != "closed":
        assert now < until, f"stuck in {breaker.state}"
        now += 2.0
        given = breaker.admit(now)
        if given is not None:
            breaker.settle(given, now, "success")


def test_every_reachable_state() -> None:
    """Breadth first to the depth, each state once."""
    start: Node = (Breaker(lambda: 0.5, 0.0), (), 0.0)
    seen, edge = {key(start)}, [start]
    for _ in range(DEPTH):
        following: list[Node] = []
        for node in edge:
            for reached in steps(node):
                name = key(reached)
                if name not in seen:
                    seen.add(name)
                    check_permits(reached)
                    check_return(reached)
                    following.append(reached)
        edge = following
    assert {name[0] for name in seen} == {"closed", "open", "half_open", "ramping"}
    assert 1000 < len(seen) <= 1_000_000
