"""Whom to ask, in which order and by which plan: one request's decision from everything that is known now.

1. Only upstreams that can serve the request, as far as is known, are candidates; where it is matched by requirements
   (`core.routing.matching`), only those that meet them.
2. Those that can be asked come first, ordered by the route's steering (`core.routing.ranking`); then those that are
   half open; then, as last resorts, those that cannot be asked, the ones with a rejected key at the very end.
3. A half-open upstream is never asked instead of one that is well, but beside it: it becomes the decision's `probe`
   where it would be among the first two if it were well.
4. Now and then one that is steered away from is asked beside the first, to learn how it is (`core.routing.explorer`).
5. Where so much is ill that health must not decide, `is_panic`, nobody is steered away from: the least ill goes first,
   and nothing is asked twice but an upstream on its way back: where the others bear too little, it is what ends the
   panic.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from streamroute.core.health.standing import Outlook, Standing
from streamroute.core.request import ChatRequest
from streamroute.core.routing.decision import Candidate, Decision, Rejected
from streamroute.core.routing.eligibility import asks_abilities, why_not
from streamroute.core.routing.explorer import EXPLORING_CLASSES, Explorer
from streamroute.core.routing.matching import Wanted
from streamroute.core.routing.narrowing import Narrowing
from streamroute.core.routing.ranking import Field, Ranking, balanced, by_health, preferred
from streamroute.core.routing.weight import health_factor, merits
from streamroute.core.upstream import LatencyClass, PlanName, Route, Upstream

_PREFERRED_TIMES = 4.0
"""A rule's preference on a balanced route: four of five requests, where two are as good as each other."""
_PROBED_PLACES = 2
"""Who would come first or second is worth a call of its own: the one to ask, and the one to fall back on."""


class Board(Protocol):
    """What steering asks of the health board. Times are monotonic seconds."""

    def outlook(self, upstreams: Sequence[Upstream], now: float, *, prompt_tokens: int) -> Outlook:
        """Return how they stand, what a request of that size can expect, and whether that is a panic."""


def decide(  # noqa: PLR0913 - the core keeps nothing: all that a decision depends on is an argument
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
    wanted: Wanted | None = None,
) -> Decision:
    """Decide whom to ask; a decision without candidates says why each was rejected.

    `now` is in monotonic seconds, `uniform` draws from [0, 1). `affinity_key` names the conversation, where the client
    does; `latency_class` is the request's own, else the route's holds. Without an `explorer` nothing is explored,
    without `wanted` nothing is matched.
    """
    class_ = latency_class or route.latency_class
    fit, rejected = _able(request, upstreams)
    outlook_of = partial(board.outlook, now=now, prompt_tokens=request.prompt_tokens)
    narrowing = None
    if wanted is None:
        outlook = outlook_of(fit)
    else:
        narrowing = Narrowing(request, wanted, class_, is_auction=route.steering == "auction")
        fit, outlook = narrowing.narrowed(fit, outlook_of, affinity_key)
        rejected += narrowing.rejected()
    standings, estimates = outlook.standings, outlook.estimates
    half_open = [i for i, each in enumerate(standings) if each.can_ask and each.is_probe]
    field = Field(
        upstreams=fit,
        standings=standings,
        estimates=estimates,
        healths=[health_factor(each) for each in estimates],
        ready=[i for i, each in enumerate(standings) if each.can_ask and not each.is_probe],
        half_open=half_open,
    )
    is_panic = len(fit) > 1 and outlook.is_panic
    if is_panic:
        ranking = by_health(field)
    elif route.steering == "balanced":
        ranking = balanced(field, _merits(request, field, class_, wanted), uniform, class_, affinity_key)
    else:
        ranking = preferred(field, uniform, class_, is_auction=route.steering == "auction")

    order, reasons = list(ranking.order), ranking.reasons
    if narrowing is not None:
        reasons = (*reasons, *narrowing.notes())
    probe = explored = None
    if order:
        if class_ != "batch":
            probe = next((i for i in half_open if is_panic or ranking.places[i] < _PROBED_PLACES), None)
        if probe is None and explorer is not None and not is_panic:
            explored = _explored(field, ranking, route.name, class_, explorer, now, uniform)
    if explored is not None:
        probe = explored
        order.remove(explored)
        order.append(explored)
        reasons = (*reasons, f"{fit[explored].id} is asked beside the first, to learn how it is")
    elif probe is not None:
        reasons = (*reasons, f"{fit[probe].id} is on its way back, or has just failed, and is tried beside the first")
    plan, why = _plan(route, class_, field, ranking, is_panic=is_panic)
    if plan != route.plan:
        reasons = (*reasons, f"{plan} instead of {route.plan}: {why}")
    order += [i for i in half_open if i != probe]
    order += _last_resorts(field, is_panic=is_panic)

    candidates = [
        Candidate(upstream=upstream, standing=standing, estimate=estimate, weight=weight)
        for upstream, standing, estimate, weight in zip(fit, standings, estimates, ranking.weights, strict=True)
    ]
    return Decision(
        route=route,
        candidates=tuple([candidates[i] for i in order]),
        rejected=tuple(rejected),
        plan=plan,
        latency_class=class_,
        probe=None if probe is None else candidates[probe],
        is_exploring=explored is not None,
        is_panic=is_panic,
        propensity=ranking.propensity,
        reasons=reasons,
        matched=None if narrowing is None else narrowing.matched(),
    )


def _able(request: ChatRequest, upstreams: Sequence[Upstream]) -> tuple[list[Upstream], list[Rejected]]:
    """Return who can serve a request, as far as is known, and who cannot."""
    if not asks_abilities(request):
        return list(upstreams), []
    fit: list[Upstream] = []
    rejected: list[Rejected] = []
    for upstream in upstreams:
        reason = why_not(request, upstream)
        if reason is None:
            fit.append(upstream)
        else:
            rejected.append(Rejected(upstream=upstream.id, reason=reason))
    return fit, rejected


def _merits(request: ChatRequest, field: Field, latency_class: LatencyClass, wanted: Wanted | None) -> list[float]:
    """Return what each would weigh when well; whom a rule prefers weighs several times as much."""
    found = merits(field.upstreams, field.estimates, request, latency_class)
    if wanted is None or not wanted.preferred:
        return found
    return [
        merit * _PREFERRED_TIMES if upstream.id in wanted.preferred else merit
        for merit, upstream in zip(found, field.upstreams, strict=True)
    ]


def _explored(
    field: Field,
    ranking: Ranking,
    route: str,
    latency_class: LatencyClass,
    explorer: Explorer,
    now: float,
    uniform: Callable[[], float],
) -> int | None:
    """Return who is to be asked beside the first though it is steered away from."""
    if latency_class not in EXPLORING_CLASSES:
        return None
    first = ranking.order[0]
    if field.standings[first].kind == "healthy":
        explorer.forget((route, field.upstreams[first].id))
    for i in ranking.steered_away:
        standing = field.standings[i]
        if standing.kind not in ("suspect", "slow"):
            continue  # it is crowded: a further call would tell nothing
        if explorer.is_due((route, field.upstreams[i].id), now, uniform, is_hopeful=standing.is_hopeful):
            return i
    return None


def _last_resorts(field: Field, *, is_panic: bool) -> list[int]:
    """Return those that cannot be asked, in the order in which to try them when nobody else is left.

    One that is only being checked, or back and full, may well answer; an open breaker knows that its upstream is down,
    and a rate limit must be waited for.
    """
    blocked = [i for i, each in enumerate(field.standings) if not each.can_ask]
    if is_panic:
        blocked.sort(key=lambda i: -field.healths[i])
    blocked.sort(key=lambda i: _hopelessness(field.standings[i]))
    return blocked


def _hopelessness(standing: Standing) -> int:
    if standing.kind == "auth_failed":
        return 2
    return int(standing.breaker == "open" or standing.kind == "rate_limited")


def _plan(
    route: Route, latency_class: LatencyClass, field: Field, ranking: Ranking, *, is_panic: bool
) -> tuple[PlanName, str]:
    """Return the route's plan, or a thriftier one where a second call would be of no use, or a bolder one where the
    first is in doubt and time is all that counts; and why it is another one."""
    if is_panic:
        return "failover", "most are ill, and further calls would only be load"
    if latency_class == "batch":
        return "failover", "nobody waits for a batch"
    if len(field.ready) < 2:
        return "failover", "a second call needs two that can be asked"
    is_in_doubt = field.standings[ranking.order[0]].kind != "healthy"
    if route.plan == "hedge" and latency_class == "latency_critical" and is_in_doubt:
        return "race", "the first is in doubt, and time is all that counts"
    return route.plan, ""
