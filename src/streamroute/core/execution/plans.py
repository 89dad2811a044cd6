"""From a decision to the plan that carries it out: the table of plans, and the limits that come from the request.

    failover   one upstream at a time
    hedge      a second one when the first is late, where that pays (`hedge_delay`)
    race       several at once
    cascade    a tier after the other, each by one of the above, where the route has tiers

The first three are `Failover` with different backups; whoever builds one for the engine or for a simulation comes here.
"""

from dataclasses import dataclass, replace

from streamroute.core.execution.calls import deadlines_of
from streamroute.core.execution.cascade import Cascade, TierOptions
from streamroute.core.execution.failover import Failover, FailoverOptions
from streamroute.core.execution.hedge_delay import HedgeDelays
from streamroute.core.execution.rescue import RescueOptions
from streamroute.core.outcome import FailureKind
from streamroute.core.routing.decision import Candidate, Decision
from streamroute.core.upstream import Deadlines, UpstreamId

MAX_ATTEMPTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What a request adds to its decision."""

    stream: bool
    arrived_at: float
    """Monotonic seconds."""
    timeout_s: float | None = None
    """The client's own limit for the whole request."""
    first_token_timeout_s: float | None = None
    max_attempts: int | None = None
    rescue: RescueOptions | None = None
    """None: an answer that breaks off is an error."""
    jitter: tuple[float, ...] = (0.5,)
    """Draws from [0, 1) for back-offs."""
    task: str | None = None
    """What it is for: thresholds go by it."""


def build_plan(decision: Decision, request: PlanRequest, delays: HedgeDelays) -> Failover | Cascade:
    """Return the plan of one request, ready to start."""
    if decision.next_tier is None:
        return Failover(_options(decision, request, delays))
    route = decision.route
    return Cascade(
        [
            TierOptions(
                plan=_options(tier, request, delays),
                accept_at=accept_at(tier, request.task),
                speculate_after_s=route.speculate_after_s,
            )
            for tier in decision.tiers
        ]
    )


def accept_at(tier: Decision, task: str | None) -> float:
    """Return the least score with which an answer of a tier is delivered."""
    place = tier.route.tier_of(tier.candidates[0].upstream.id) if tier.candidates else 0
    return tier.route.accept_at.of(place, task)


def _options(decision: Decision, request: PlanRequest, delays: HedgeDelays) -> FailoverOptions:
    route, candidates = decision.route, decision.candidates
    options = FailoverOptions(
        candidates=candidates,
        stream=request.stream,
        arrived_at=request.arrived_at,
        deadlines=_deadlines(route.deadlines, request),
        retry=route.retry,
        max_attempts=min(request.max_attempts or MAX_ATTEMPTS, MAX_ATTEMPTS),
        client_limits=_client_limits(route.deadlines, request),
        jitter=request.jitter,
        probe=decision.probe,
        rescue=request.rescue,
    )
    if decision.plan == "race":
        options = replace(options, race_width=route.race_width)
    elif decision.plan == "hedge":
        options = replace(options, hedge_after_s=_hedge_after_s(decision, delays))
    return options


def deadlines_by_upstream(decision: Decision, request: PlanRequest) -> dict[UpstreamId, Deadlines]:
    """Return the deadlines that each candidate would be given if it were asked in the decision's order."""
    configured = _deadlines(decision.route.deadlines, request)
    return {
        each.upstream.id: deadlines_of(each.estimate, configured, is_last=place == len(tier.candidates) - 1)
        for tier in decision.tiers
        for place, each in enumerate(tier.candidates)
    }


def _hedge_after_s(decision: Decision, delays: HedgeDelays) -> float | None:
    """Return when a second call pays; None where it does not, or where there is nobody fit to make it."""
    first, backup = decision.candidates[0] if decision.candidates else None, _backup(decision)
    if first is None or backup is None or decision.is_panic:
        return None
    is_suspect = first.standing.kind in {"suspect", "slow"}
    return delays.delay_s(first.estimate, backup.estimate, is_suspect=is_suspect)


def _backup(decision: Decision) -> Candidate | None:
    """Return the best candidate after the first that stands well and has room, outside of its failure domain."""
    for each in decision.candidates[1:]:
        is_well = each.standing.kind == "healthy" and each.standing.can_ask and not each.standing.is_probe
        if is_well and each.has_room and each.upstream.failure_domain != decision.candidates[0].upstream.failure_domain:
            return each
    return None


def _deadlines(deadlines: Deadlines, request: PlanRequest) -> Deadlines:
    """Return the route's deadlines, shortened by what the client will wait for."""
    if request.timeout_s is not None:
        deadlines = replace(deadlines, total_s=min(deadlines.total_s, request.timeout_s))
    if request.first_token_timeout_s is not None:
        deadlines = replace(deadlines, first_token_s=min(deadlines.first_token_s, request.first_token_timeout_s))
    return deadlines


def _client_limits(deadlines: Deadlines, request: PlanRequest) -> frozenset[FailureKind]:
    wished = request.first_token_timeout_s
    is_shorter = wished is not None and wished < deadlines.first_token_s
    return frozenset({"first_token_timeout"}) if is_shorter else frozenset()
