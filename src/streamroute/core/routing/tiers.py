"""The decision for a route with tiers: one decision a tier, smallest models first.

A tier in which nobody can serve the request, or may be asked, is skipped; a request whose answer cannot be judged as a
whole (several choices) goes to the last one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.explorer import Explorer
from streamroute.core.routing.steering import Board, decide
from streamroute.core.upstream import LatencyClass, Route, Upstream


def decide_tiers(  # noqa: PLR0913 - as `decide`
    request: ChatRequest,
    route: Route,
    upstreams: Sequence[Upstream],
    board: Board,
    now: float,
    uniform: Callable[[], float],
    *,
    affinity_key: str | None = None,
    latency_class: LatencyClass | None = None,
    explorer: Explorer | None = None,
) -> Decision:
    """Decide whom to ask of `upstreams`, all or some of the route's; see `core.routing.steering.decide`."""
    tiers = route.tiers or (route.upstreams,)
    if request.choices > 1:
        tiers = tiers[-1:]
    known = {each.id: each for each in upstreams}
    decided: Decision | None = None
    for tier in reversed(tiers):
        decision = decide(
            request,
            replace(route, upstreams=tier) if route.tiers else route,
            [known[each] for each in tier if each in known],
            board,
            now,
            uniform,
            affinity_key=affinity_key,
            latency_class=latency_class,
            explorer=explorer,
        )
        if decided is None:
            decided = decision
        elif not decided.candidates:
            decided = replace(decision, rejected=(*decision.rejected, *decided.rejected))
        elif _can_begin(decision):
            decided = replace(decision, next_tier=decided)
        else:
            rejected = (*decision.rejected, *decided.rejected)
            decided = replace(decided, rejected=rejected, reasons=(*decided.reasons, _skipped(decision)))
    if decided is None:
        raise ValueError(f"the route {route.name!r} has no upstream")
    return decided


def _can_begin(decision: Decision) -> bool:
    """Return whether a tier is worth beginning with: somebody in it can be asked now."""
    return any(each.standing.can_ask and not each.standing.is_probe for each in decision.candidates)


def _skipped(decision: Decision) -> str:
    names = ", ".join(each.upstream.id for each in decision.candidates) or "nobody"
    return f"a smaller tier ({names}) is skipped: none of it can be asked now"
