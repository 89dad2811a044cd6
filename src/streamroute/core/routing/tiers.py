"""The decision for a route with tiers: one decision a tier, smallest models first.

A tier in which nobody can serve the request, or may be asked, is skipped; a request whose answer cannot be judged as a
whole (several choices) goes to the last one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Candidate, Decision
from streamroute.core.routing.eligibility import with_room
from streamroute.core.routing.matching import with_bids
from streamroute.core.upstream import Route, Upstream

SKIPPED = "its tier is skipped"
"""Why a candidate is a last resort."""


def decide_tiers(
    request: ChatRequest,
    route: Route,
    upstreams: Sequence[Upstream],
    decide: Callable[[Route, Sequence[Upstream]], Decision],
) -> Decision:
    """Decide whom to ask of `upstreams`, all or some of the route's; `decide` does so for one tier
    (`core.routing.steering.decide`)."""
    upstreams, too_small = with_room(request, upstreams)
    decision = _decided(request, route, upstreams, decide) if route.tiers else decide(route, upstreams)
    return replace(decision, rejected=(*too_small, *decision.rejected)) if too_small else decision


def _decided(
    request: ChatRequest,
    route: Route,
    upstreams: Sequence[Upstream],
    decide: Callable[[Route, Sequence[Upstream]], Decision],
) -> Decision:
    tiers = route.tiers if request.choices == 1 else route.tiers[-1:]
    known = {each.id: each for each in upstreams}
    decided: Decision | None = None
    for tier in reversed(tiers):
        decision = decide(replace(route, upstreams=tier), [known[each] for each in tier if each in known])
        if decided is None:
            decided = decision
        elif not decided.candidates:
            matched = with_bids(decision.matched, decided.matched)
            decided = replace(decision, rejected=(*decision.rejected, *decided.rejected), matched=matched)
        elif decision.can_begin:
            decided = replace(decision, next_tier=decided)
        else:
            rejected = (*decision.rejected, *decided.rejected)
            decided = replace(decided, rejected=rejected, reasons=(*decided.reasons, _skipped(decision)))
    assert decided is not None  # noqa: S101 - there is a tier
    return decided


def _skipped(decision: Decision) -> str:
    if not decision.candidates:
        names = ", ".join(decision.route.upstreams)
        return f"a smaller tier ({names}) is skipped: none of it can serve the request, or meets what it requires"
    names = ", ".join(each.upstream.id for each in decision.candidates)
    return f"a smaller tier ({names}) is skipped: none of it can be asked now"


def begun_at(decision: Decision, position: int, why: str) -> Decision:
    """Return the decision without its tiers before `position`. Their candidates stay as last resorts, after all others
    of the last tier: whatever their answers are worth, they beat an error."""
    kept, skipped = decision.tiers[position], decision.tiers[:position]
    resorts = [
        replace(each, standing=replace(each.standing, can_ask=False, reason=each.standing.reason or SKIPPED))
        for tier in reversed(skipped)
        for each in tier.candidates
    ]
    rejected = (*decision.rejected, *kept.rejected) if skipped else kept.rejected
    return replace(_with_last_resorts(kept, resorts), rejected=rejected, reasons=(*kept.reasons, why))


def _with_last_resorts(decision: Decision, resorts: Sequence[Candidate]) -> Decision:
    if decision.next_tier is not None:
        return replace(decision, next_tier=_with_last_resorts(decision.next_tier, resorts))
    return replace(decision, candidates=(*decision.candidates, *resorts))
