"""The order among upstreams that can be asked: by the route's preference, by shares, or in panic by health alone.

Upstreams are named by their position in the route.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from streamroute.core.health.standing import Estimate, Standing
from streamroute.core.routing.affinity import KEPT_AT, rendezvous
from streamroute.core.upstream import LatencyClass, Upstream, UpstreamId

YIELDS_BELOW = 0.25
"""The preferred upstream yields when its weight is less than this share of the best. exp(-1.4) is about what one
failure or a clear drift of its speed costs, where the health board calls it suspect: less is noise, and the order of
the route is a wish to be respected."""
STEERED_SHARE = 0.02
"""A share below this brings in too few requests to notice that an upstream is well again; `explorer` adds some."""


@dataclass(slots=True, kw_only=True)
class Field:
    """The candidates of one request, and what is known of each, all in the order of the route."""

    upstreams: Sequence[Upstream]
    standings: Sequence[Standing]
    estimates: Sequence[Estimate]
    healths: Sequence[float]
    """What health and crowd leave of a full weight, 0..1."""
    ready: Sequence[int]
    """Those that can be asked now and are not half open."""
    half_open: Sequence[int]
    """Those that can be asked now, by a probe."""


@dataclass(slots=True, kw_only=True)
class Ranking:
    """Who goes first, and who only would if it were well."""

    order: tuple[int, ...]
    """Of those that are ready."""
    weights: Sequence[float]
    """Of all candidates."""
    steered_away: tuple[int, ...] = ()
    """Ready, but passed over because of how they are: they get no traffic to show that they are well again."""
    places: Mapping[int, int]
    """Of those that are half open: how many of the ready ones would go before it, were it well."""
    reasons: tuple[str, ...]
    propensity: float = 1.0
    """The chance, above 0, with which the first of the order would be that again, as everything stands: 1 where nothing
    was drawn. What replays weigh by (Horvitz and Thompson, 1952)."""


def preferred(
    field: Field, uniform: Callable[[], float], latency_class: LatencyClass, *, is_auction: bool = False
) -> Ranking:
    """Put the first that is well in front. Chance decides only where one's capacity is less than another's, so that an
    upstream that comes back gets a growing share."""
    ready, standings, estimates = field.ready, field.standings, field.estimates
    scores = _scores(field)
    least = YIELDS_BELOW * max([scores[i] for i in ready], default=0.0)
    kept = [i for i in ready if scores[i] >= least]
    well = _healthy_only(kept, standings) if latency_class == "latency_critical" else kept
    head, propensity = _with_capacity(well, estimates, uniform)
    in_front = frozenset(well)
    order: tuple[int, ...] = ()
    if head is not None:
        order = (head, *[i for i in well if i != head], *_descending([i for i in ready if i not in in_front], scores))
    steered_away = tuple([i for i in ready if head is not None and i < head and i not in in_front])
    if head is None:
        reasons: tuple[str, ...] = ()
    elif steered_away:
        reasons = ("who is preferred is not well: the first of the others goes first",)
    elif head != ready[0]:
        reasons = ("who is preferred gets the share that its capacity allows, and this request is not in it",)
    else:
        first = "the best bid of those" if is_auction else "the first in the route's order"
        reasons = (f"{first} that can be asked and is well",)
    return Ranking(
        order=order,
        weights=[score * each.capacity for score, each in zip(scores, estimates, strict=True)],
        steered_away=steered_away,
        places={i: sum(other < i for other in well) for i in field.half_open},
        reasons=reasons,
        propensity=propensity,
    )


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
    keys = [(-weight, upstream.id) for weight, upstream in zip(weights, upstreams, strict=True)]
    ready = sorted(field.ready, key=keys.__getitem__)
    pool = _healthy_only(ready, standings) if latency_class == "latency_critical" else ready
    head, reason, propensity = None, "drawn by weight", 1.0
    if affinity_key is not None and pool:
        least = KEPT_AT * weights[pool[0]]
        near = {upstreams[i].id: i for i in pool if weights[i] >= least and standings[i].kind == "healthy"}
        own: UpstreamId | None = rendezvous(affinity_key, near)
        if own is not None:
            head, reason = near[own], "the conversation stays where its prompt may be cached"
    if head is None and pool:
        total = sum([weights[i] for i in pool])
        head = _draw(pool, weights, uniform() * total)
        other = _draw(pool, weights, uniform() * total)
        if estimates[other].in_flight * weights[head] < estimates[head].in_flight * weights[other]:
            head, reason = other, "drawn by weight; of two the one with less in flight"
        propensity = _chance_of(head, pool, weights, estimates)
    order: tuple[int, ...] = ()
    if head is not None:
        rest = [] if pool is ready else [i for i in ready if i not in pool]
        order = (head, *[i for i in pool if i != head], *rest)
    least = STEERED_SHARE * sum([weights[i] for i in ready])
    light = [i for i in ready if weights[i] < least]
    return Ranking(
        order=order,
        weights=weights,
        steered_away=tuple([i for i in light if i != head and standings[i].kind in ("suspect", "slow")]),
        places={i: sum(weights[other] > merits[i] for other in ready) for i in field.half_open},
        reasons=(reason,) if order else (),
        propensity=propensity,
    )


def by_health(field: Field) -> Ranking:
    """Put the one first that most probably answers and has room: in panic nothing else counts."""
    weights = [health * each.capacity for health, each in zip(field.healths, field.estimates, strict=True)]
    return Ranking(
        order=tuple(_descending(field.ready, weights)),
        weights=weights,
        places={},
        reasons=("most are ill: nobody is steered away from, the least ill goes first",),
    )


def _scores(field: Field) -> list[float]:
    """Return how well each does for an upstream of its kind: health, and the square of its normal time to its time now.

    Only its own slowness counts, for the route's order is chosen knowing who is fast; and no more of it than another
    would save.
    """
    scores, estimates = list(field.healths), field.estimates
    slower = [i for i, each in enumerate(estimates) if each.ttft_s > each.normal_ttft_s and not each.is_cold]
    if slower:
        fastest_s = min((estimates[i].ttft_s for i in field.ready if not estimates[i].is_cold), default=0.0)
        for i in slower:
            bound_s = max(estimates[i].normal_ttft_s, fastest_s)
            scores[i] *= min(1.0, bound_s / estimates[i].ttft_s) ** 2
    return scores


def _healthy_only(ready: list[int], standings: Sequence[Standing]) -> list[int]:
    """Return those without anything against them; all where there is none such."""
    return [i for i in ready if standings[i].kind == "healthy"] or ready


def _with_capacity(
    well: Sequence[int], estimates: Sequence[Estimate], uniform: Callable[[], float]
) -> tuple[int | None, float]:
    """Return the first that its capacity, relative to the largest, lets through, and with which chance it is that."""
    largest = max([estimates[i].capacity for i in well], default=0.0)
    left = 1.0
    for i in well:
        capacity = estimates[i].capacity
        if capacity >= largest:
            return i, left
        if uniform() * largest < capacity:
            return i, left * capacity / largest
        left *= 1.0 - capacity / largest
    return None, 1.0


def _descending(ready: Sequence[int], weights: Sequence[float]) -> list[int]:
    """Return them heaviest first; where weights are equal, the order stays."""
    return sorted(ready, key=lambda i: -weights[i])


def _draw(pool: Sequence[int], weights: Sequence[float], left: float) -> int:
    """Return whom `left`, drawn from 0 to the sum of the weights, falls to; the first where none weighs anything."""
    for i in pool:
        left -= weights[i]
        if left < 0.0:
            return i
    return pool[0]


def _chance_of(head: int, pool: Sequence[int], weights: Sequence[float], estimates: Sequence[Estimate]) -> float:
    """Return the chance that two draws by weight, of which the one with less in flight for its weight is taken, come to
    `head`: both draws fall on it, or one does and the other yields; where they are equal the first draw stays."""
    total = sum([weights[i] for i in pool])
    if total <= 0.0:
        return 1.0
    own = weights[head]
    chance = own * own
    for i in pool:
        if i != head:
            of_head, of_other = estimates[head].in_flight * weights[i], estimates[i].in_flight * own
            chance += own * weights[i] * (2.0 if of_head < of_other else 1.0 if of_head == of_other else 0.0)
    return chance / (total * total)
