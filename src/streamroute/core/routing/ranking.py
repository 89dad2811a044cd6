"""The order among upstreams that can be asked: by the route's preference, by shares, or in panic by health alone.

Upstreams are named by their position in the route.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamroute.core.health.standing import Estimate, Standing
from streamroute.core.routing.affinity import KEPT_AT, rendezvous
from streamroute.core.routing.weight import health_factor
from streamroute.core.upstream import LatencyClass, Upstream, UpstreamId

YIELDS_BELOW = 0.25
"""The preferred upstream yields when its weight is less than this share of the best. exp(-1.4) is about what one
failure or a clear drift of its speed costs, where the health board calls it suspect: less is noise, and the order of
the route is a wish to be respected."""
STEERED_SHARE = 0.02
"""A share below this brings in too few requests to notice that an upstream is well again; `explorer` adds some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """The candidates of one request, and what is known of each, all in the order of the route."""

    upstreams: Sequence[Upstream]
    standings: Sequence[Standing]
    estimates: Sequence[Estimate]
    healths: Sequence[float]
    """What health and crowd leave of a full weight, 0..1."""
    ready: Sequence[int]
    """Those that can be asked now and are not half open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Who goes first, and who only would if it were well."""

    order: tuple[int, ...]
    """Of those that are ready."""
    weights: Sequence[float]
    """Of all candidates."""
    steered_away: tuple[int, ...] = ()
    """Ready, but passed over because of how they are: they get no traffic to show that they are well again."""
    places: Sequence[int]
    """Of all candidates: how many of the ready ones go before it, were it well."""
    reasons: tuple[str, ...]


def preferred(field: Field, uniform: Callable[[], float], latency_class: LatencyClass) -> Ranking:
    """Put the first that is well in front. Chance decides only where one's capacity is less than another's, so that an
    upstream that comes back gets a growing share."""
    ready, standings, estimates = field.ready, field.standings, field.estimates
    fastest_s = min((estimates[i].ttft_s for i in ready if not estimates[i].is_cold), default=0.0)
    scores = [preference(estimate, fastest_s) for estimate in estimates]
    least = YIELDS_BELOW * max((scores[i] for i in ready), default=0.0)
    kept = [i for i in ready if scores[i] >= least]
    well = _healthy_only(kept, standings) if latency_class == "latency_critical" else kept
    head = _with_capacity(well, estimates, uniform)
    order = () if head is None else (head, *[i for i in well if i != head], *_descending(ready, scores, without=well))
    steered_away = tuple([i for i in ready if head is not None and i < head and i not in well])
    if head is None:
        reasons: tuple[str, ...] = ()
    elif steered_away:
        reasons = ("who is preferred is not well: the first of the others goes first",)
    elif head != ready[0]:
        reasons = ("who is preferred gets the share that its capacity allows, and this request is not in it",)
    else:
        reasons = ("the first in the route's order that can be asked and is well",)
    places, before = [], 0
    in_front = frozenset(well)
    for i in range(len(scores)):
        places.append(before)
        before += i in in_front
    weights = [score * each.capacity for score, each in zip(scores, estimates, strict=True)]
    return Ranking(order=order, weights=weights, steered_away=steered_away, places=places, reasons=reasons)


def balanced(
    field: Field,
    merits: Sequence[float],
    uniform: Callable[[], float],
    latency_class: LatencyClass,
    affinity_key: str | None,
) -> Ranking:
    """Draw the first by weight: the conversation's own upstream where that is well enough, else one of two draws.

    Of the two draws the one with less in flight for its weight is taken: the power of two choices (Mitzenmacher 2001).
    `merits` are speed and price, without health.
    """
    standings, estimates, upstreams = field.standings, field.estimates, field.upstreams
    weights = [
        merit * health * each.capacity for merit, health, each in zip(merits, field.healths, estimates, strict=True)
    ]
    # By name where weights are equal, so that the order of the configuration decides nothing.
    ready = sorted(field.ready, key=lambda i: (-weights[i], upstreams[i].id))
    pool = _healthy_only(ready, standings) if latency_class == "latency_critical" else ready
    head, reason = None, "drawn by weight"
    if affinity_key is not None and pool:
        least = KEPT_AT * weights[pool[0]]
        near = {upstreams[i].id: i for i in pool if weights[i] >= least and standings[i].kind == "healthy"}
        own: UpstreamId | None = rendezvous(affinity_key, near)
        if own is not None:
            head, reason = near[own], "the conversation stays where its prompt may be cached"
    if head is None and pool:
        head = _draw(pool, weights, uniform)
        other = _draw(pool, weights, uniform)
        if estimates[other].in_flight * weights[head] < estimates[head].in_flight * weights[other]:
            head, reason = other, "drawn by weight; of two the one with less in flight"
    order = () if head is None else (head, *[i for i in pool if i != head], *[i for i in ready if i not in pool])
    least = STEERED_SHARE * sum(weights[i] for i in ready)
    steered_away = tuple([i for i in ready if weights[i] < least and standings[i].kind in ("suspect", "slow")])
    return Ranking(
        order=order,
        weights=weights,
        steered_away=tuple([i for i in steered_away if i != head]),
        places=[sum(weights[other] > merit for other in ready) for merit in merits],
        reasons=(reason,) if order else (),
    )


def by_health(field: Field) -> Ranking:
    """Put the one first that most probably answers and has room: in panic nothing else counts."""
    weights = [health * each.capacity for health, each in zip(field.healths, field.estimates, strict=True)]
    return Ranking(
        order=tuple(_descending(field.ready, weights)),
        weights=weights,
        places=range(len(weights)),
        reasons=("most are ill: nobody is steered away from, the least ill goes first",),
    )


def preference(estimate: Estimate, fastest_s: float) -> float:
    """Return what is left, 0..1, of the wish to have an upstream asked first; `fastest_s`: what another one takes."""
    return health_factor(estimate) * _slowness(estimate, fastest_s)


def _slowness(estimate: Estimate, fastest_s: float) -> float:
    """Return 1 for an upstream at its normal pace, less where it is slower: the square of the ratio of times.

    Only its own slowness counts, for the route's order is chosen knowing who is fast; and no more of it than another
    would save.
    """
    bound_s = max(estimate.normal_ttft_s, fastest_s)
    return 1.0 if estimate.ttft_s <= bound_s or estimate.is_cold else (bound_s / estimate.ttft_s) ** 2


def _healthy_only(ready: list[int], standings: Sequence[Standing]) -> list[int]:
    """Return those without anything against them; all where there is none such."""
    return [i for i in ready if standings[i].kind == "healthy"] or ready


def _with_capacity(well: Sequence[int], estimates: Sequence[Estimate], uniform: Callable[[], float]) -> int | None:
    """Return the first that its capacity, relative to the largest, lets through."""
    largest = max((estimates[i].capacity for i in well), default=0.0)
    for i in well:
        capacity = estimates[i].capacity
        if capacity >= largest or uniform() * largest < capacity:
            return i
    return None


def _descending(ready: Sequence[int], weights: Sequence[float], without: Sequence[int] = ()) -> list[int]:
    """Return them heaviest first; where weights are equal, the order stays."""
    return sorted([i for i in ready if i not in without], key=lambda i: -weights[i])


def _draw(pool: Sequence[int], weights: Sequence[float], uniform: Callable[[], float]) -> int:
    """Return one with a probability in proportion to its weight; the first where none weighs anything."""
    left = uniform() * sum(weights[i] for i in pool)
    for i in pool:
        left -= weights[i]
        if left < 0.0:
            return i
    return pool[0]
