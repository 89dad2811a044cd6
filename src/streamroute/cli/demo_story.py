"""What the sidecar's own observations tell: how early it moved away, how it came back, what it joined. Pure.

Nothing here knows a threshold of the health board: what counts is where requests went first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streamroute.cli.demo_plan import PREFERRED, DemoPlan
from streamroute.cli.demo_stage import Performance
from streamroute.core.observation import AttemptObservation
from streamroute.simulation.text import answer_tokens

MOSTLY = 0.8
"""Share of the requests that make a move of traffic: a few go to the other side on purpose, to explore."""
LEAST = 5
"""Requests that it takes to speak of a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """How the sidecar met the outage that a slowdown announced. Seconds."""

    steered_at_s: float | None
    """Since the load began: from here on at most a fifth of the requests asked the preferred upstream first."""
    outage_at_s: float | None
    """The preferred provider's first failed answer, by its own log, whoever asked."""
    reason: str
    """What the health board said against it then."""
    asked_in_outage: int
    """Requests that met the outage all the same: to explore, or because nothing was foreseen."""

    @property
    def lead_s(self) -> float | None:
        """Seconds of warning; negative where the failure came first, None where either did not happen."""
        if self.steered_at_s is None or self.outage_at_s is None:
            return None
        return self.outage_at_s - self.steered_at_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """How the preferred upstream came back after it had hung."""

    after_s: float | None
    """From the end of the trouble until it was asked first again; None: not while that was looked at."""
    probes: int
    """Calls beside users' requests until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """One answer that was carried on."""

    before: str
    """Text of the upstream that broke off."""
    after: str
    upstreams: tuple[str, str]
    reason: str
    """The kind of failure."""


def warned(plan: DemoPlan, performance: Performance) -> Foresight:
    """Return how early traffic left the preferred upstream."""
    zero = performance.started_at
    slowing, outage = plan.phase("slowing"), plan.phase("outage")
    firsts = _firsts(performance, slowing.from_s, outage.until_s)
    away = [(at, upstream != PREFERRED) for at, upstream in firsts]
    steered_at_s = _from_when(away)
    met = [
        each
        for each in performance.witness.attempts
        if each.upstream == PREFERRED and outage.from_s <= _started_s(each, performance) < outage.until_s
    ]
    reasons = [
        each.reason
        for each in performance.witness.stood
        if each.upstream == PREFERRED and each.reason and slowing.from_s <= each.at - zero
        and (steered_at_s is None or each.at - zero <= steered_at_s + 0.5)
    ]  # fmt: skip
    return Foresight(
        steered_at_s=steered_at_s,
        outage_at_s=None if performance.outage_at is None else performance.outage_at - zero,
        reason=next((each for each in reversed(reasons) if "slow" in each or "token" in each), ""),
        asked_in_outage=sum(each.cause != "probe" for each in met),
    )


def returned(plan: DemoPlan, performance: Performance) -> Return:
    """Return how the preferred upstream came back after its hang."""
    begins_s, ends_s = plan.phase("hang").until_s, plan.phase("recovery").until_s
    back_s = _from_when([(at, upstream == PREFERRED) for at, upstream in _firsts(performance, begins_s, ends_s)])
    probes = [
        each
        for each in performance.witness.attempts
        if each.cause == "probe" and each.upstream == PREFERRED and begins_s <= _started_s(each, performance)
    ]
    until_s = ends_s if back_s is None else back_s
    return Return(
        after_s=None if back_s is None else back_s - begins_s,
        probes=sum(_started_s(each, performance) <= until_s for each in probes),
    )


def rescue_shown(plan: DemoPlan, performance: Performance) -> Rescue | None:
    """Return the first answer that was broken off once and is whole."""
    whole = {each.request_id: each for each in performance.results if each.is_exact}
    for request in performance.witness.requests:
        result = whole.get(request.request_id)
        if result is None or len(request.continuations) != 1:
            continue
        parts = [
            each for each in performance.witness.attempts if each.request_id == request.request_id and each.is_committed
        ]
        parts.sort(key=lambda each: each.attempt)
        if len(parts) != 2:
            continue
        first, second = parts
        joint = sum(map(len, answer_tokens(result.prompt, plan.load.tokens)[: first.content_events]))
        return Rescue(
            before=result.text[:joint],
            after=result.text[joint:],
            upstreams=(first.upstream, second.upstream),
            reason="silence" if first.failure is None else first.failure.kind,
        )
    return None


def _firsts(performance: Performance, from_s: float, until_s: float) -> list[tuple[float, str]]:
    """Return when (seconds since the load began) and whom requests asked first, in that time and order."""
    found = [
        (_started_s(each, performance), str(each.upstream))
        for each in performance.witness.attempts
        if each.cause == "first" and from_s <= _started_s(each, performance) < until_s
    ]
    return sorted(found)


def _from_when(moments: Sequence[tuple[float, bool]]) -> float | None:
    """Return the first moment that is true itself and from which on `MOSTLY` all are, of `LEAST` at least."""
    true = 0
    found: float | None = None
    for count, (at, is_true) in enumerate(reversed(moments), start=1):
        true += is_true
        if is_true and count >= LEAST and true >= MOSTLY * count:
            found = at
    return found


def _started_s(attempt: AttemptObservation, performance: Performance) -> float:
    return attempt.ended_at - attempt.duration_s - performance.started_at
