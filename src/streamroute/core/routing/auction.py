"""Who goes first where upstreams are matched to the request: an auction in which each bids what it offers.

    utility = quality - cost / value - waiting

in points of quality, 0..1: `value` is what a right answer is worth, in US dollars, by policy (lambda is one over it);
`waiting` is the time until the client has what it waits for, times what a second counts for in its latency class (mu).
The limit of cost is the reserve price: who may cost more does not take part (`core.routing.matching`).

    quality    a right answer is worth a lot; an estimate that is not sure counts for less
    balanced   what an answer costs and how good it is
    economy    a right answer is worth little; where a floor of quality is required, more quality than that counts
               for nothing: the cheapest that is good enough wins

What is scored this way is the rule of cascade routing (Dekoninck et al., ICML 2025, arXiv 2410.10347): quality minus
lambda times cost, with one lambda for all requests of a policy.

Health is not in it: the bids make the order, as the configuration makes that of a route, and steering by health goes
on from there.
"""

from collections.abc import Sequence

from streamroute.core.health.standing import Estimate
from streamroute.core.request import ChatRequest
from streamroute.core.routing.affinity import rendezvous
from streamroute.core.routing.matching import TABLE_SD, Bid, Wanted
from streamroute.core.routing.options import DOUBTS, SECOND_COSTS
from streamroute.core.routing.weight import long_answer_tokens
from streamroute.core.upstream import LatencyClass

UNKNOWN_QUALITY, UNKNOWN_SD = 0.5, 0.25
"""Of an upstream of which nobody has said anything: as likely wrong as right."""
PREFERENCE = 0.05
"""What a rule's preference is worth: it decides between upstreams that are about as good, and no more."""
CLOSE = 0.01
"""Bids so near to the best are as good: a conversation stays with its upstream among them, whose prompt cache is worth
more than that."""


def value_bids(
    wanted: Wanted,
    request: ChatRequest,
    bids: Sequence[Bid],
    estimates: Sequence[Estimate],
    latency_class: LatencyClass,
) -> None:
    """Set the utility of each bid."""
    doubts, second = DOUBTS[wanted.policy], SECOND_COSTS[latency_class]
    per_usd = 1.0 / wanted.answer_value_usd
    floor = wanted.requirements.floor if wanted.policy == "economy" else None
    dearest = max([each.cost_usd for each in bids if each.cost_usd is not None], default=0.0)
    tokens = long_answer_tokens(request)
    tpots = [each.tpot_s for each in estimates if each.tpot_s is not None] if tokens else []
    usual_s = sum(tpots) / len(tpots) if tpots else 0.0
    for bid, estimate in zip(bids, estimates, strict=True):
        if bid.quality is None:
            quality = UNKNOWN_QUALITY - doubts * UNKNOWN_SD
        else:
            quality = bid.quality.mean - doubts * bid.quality.sd
        if floor is not None and quality > floor:
            quality = floor
        if bid.upstream.id in wanted.preferred:
            quality += PREFERENCE * _unlearned(bid)
        first_s = estimate.ttft_s if bid.ttft_s is None else bid.ttft_s
        waiting_s = first_s + tokens * (usual_s if estimate.tpot_s is None else estimate.tpot_s)
        cost_usd = dearest if bid.cost_usd is None else bid.cost_usd
        bid.utility = quality - per_usd * cost_usd - second * waiting_s


def winners_first(bids: Sequence[Bid], affinity_key: str | None) -> list[int]:
    """Return the positions of bids, best first: who misses a limit of time at the moment after all others, equals by
    name, and of those that are as good as the best first the one that the conversation belongs to."""
    order = sorted(range(len(bids)), key=lambda i: (bids[i].is_late, -_utility(bids[i]), bids[i].upstream.id))
    if affinity_key is None or len(order) < 2:
        return order
    best = bids[order[0]]
    least = _utility(best) - CLOSE
    near = {bids[i].upstream.id: i for i in order if _utility(bids[i]) >= least and bids[i].is_late is best.is_late}
    own = rendezvous(affinity_key, near)
    if own is None or near[own] == order[0]:
        return order
    return [near[own], *[i for i in order if i != near[own]]]


def _unlearned(bid: Bid) -> float:
    """Return 1 where nothing was learned of its quality, less and less as the estimate grows sure: what an operator
    prefers is what is believed at first."""
    sd = 0.0 if bid.quality is None else bid.quality.sd
    return min(1.0, sd / TABLE_SD) if sd > 0.0 else 1.0


def _utility(bid: Bid) -> float:
    return 0.0 if bid.utility is None else bid.utility
