"""What each candidate's share of the requests should be: health, capacity, predicted speed, price and crowd.

    weight = capacity * exp(-penalty) * (T_min / T)^2 * (P_min / P)^gamma * 1 / (1 + (q / L)^3)

T is the predicted time of this request, P its estimated price, q what is in flight and L the limit that was learned.
The square of the time is what Prequal and PeakEWMA-like balancers come to in effect; the cube of q / L is that of C3
(Suresh et al., NSDI 2015): nearly flat far below the limit, steep at it.
"""

from collections.abc import Sequence
from math import exp, inf

from streamroute.core.health.standing import Estimate
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import LatencyClass, Upstream

LONG_ANSWER_TOKENS = 200
"""Output tokens that count towards the predicted time of a long answer: about what is read before the pace of the
rest no longer matters to a person. Longer answers do not weigh more."""
PRICE_EXPONENT: dict[LatencyClass, float] = {
    "batch": 2.0,
    "standard": 1.0,
    "interactive": 0.5,
    "latency_critical": 0.0,
}
"""How much price matters, by latency class: 0 not at all; 2 halves the price for a quarter of the share."""
LEAST_PRICE_RATIO = 0.01
"""A free upstream counts as a hundredth of a paid one, so that the paid one keeps a weight at all."""
COLD_SHARE = 0.5
"""Of the mean of the known, for an upstream of which little is known: enough to learn, not enough to hurt."""


def long_answer_tokens(request: ChatRequest) -> int:
    """Return how many output tokens the client waits for beyond the first: 0..`LONG_ANSWER_TOKENS`.

    Without a stream it waits for all of them. With one it begins to read at once, and only an answer that was
    announced as long makes the pace matter.
    """
    limit = request.max_output_tokens
    if request.stream and (limit is None or limit < LONG_ANSWER_TOKENS):
        return 0
    return LONG_ANSWER_TOKENS if limit is None else min(limit, LONG_ANSWER_TOKENS)


def crowd(estimate: Estimate) -> float:
    """Return 1 for an upstream with room, 1/2 at its learned limit of concurrent calls, near 0 far above it."""
    load = estimate.in_flight / estimate.in_flight_limit if estimate.in_flight_limit > 0 else 1.0
    return 1.0 / (1.0 + load * load * load)


def health_factor(estimate: Estimate) -> float:
    """Return what its health and its crowd leave of a full weight, 0..1."""
    if not estimate.penalty and estimate.in_flight_limit == inf:
        return 1.0  # the usual case
    return exp(-estimate.penalty) * crowd(estimate)


def speed_factors(estimates: Sequence[Estimate], tokens: int) -> list[float | None]:
    """Return (T_min / T)^2 of each, where T is the time to the first token and `tokens` more; None for the cold."""
    tpots = [each.tpot_s for each in estimates if each.tpot_s is not None] if tokens else []
    usual_tpot_s = sum(tpots) / len(tpots) if tpots else 0.0
    times: list[float | None] = []
    for each in estimates:
        if each.is_cold:
            times.append(None)
        else:
            tpot_s = usual_tpot_s if each.tpot_s is None else each.tpot_s
            times.append(max(each.ttft_s + tokens * tpot_s, 1e-6))
    fastest = min((time for time in times if time is not None), default=1.0)
    return [None if time is None else (fastest / time) ** 2 for time in times]


def price_factors(upstreams: Sequence[Upstream], request: ChatRequest, gamma: float) -> list[float]:
    """Return (P_min / P)^gamma of each, for this request's estimated size; the unpriced get the mean price."""
    if gamma == 0.0:
        return [1.0] * len(upstreams)
    limit = request.max_output_tokens
    inputs, outputs = request.prompt_tokens, LONG_ANSWER_TOKENS if limit is None else min(limit, LONG_ANSWER_TOKENS)
    priced = [each.price for each in upstreams]
    prices = [None if each is None else each.rough_usd(inputs, outputs) for each in priced]
    known = [price for price in prices if price is not None]
    if not known:
        return [1.0] * len(upstreams)
    mean, least = sum(known) / len(known), min(known)
    return [_price_ratio(least, mean if price is None else price) ** gamma for price in prices]


def merits(
    upstreams: Sequence[Upstream], estimates: Sequence[Estimate], request: ChatRequest, latency_class: LatencyClass
) -> list[float]:
    """Return what each would weigh when well: speed times price. An upstream that is cold gets `COLD_SHARE` of the
    mean speed of those that are known."""
    speeds = speed_factors(estimates, long_answer_tokens(request))
    known = [speed for speed in speeds if speed is not None]
    of_cold = COLD_SHARE * sum(known) / len(known) if known else 1.0
    prices = price_factors(upstreams, request, PRICE_EXPONENT[latency_class])
    return [(of_cold if speed is None else speed) * price for speed, price in zip(speeds, prices, strict=True)]


def _price_ratio(least: float, price: float) -> float:
    return max(least / price, LEAST_PRICE_RATIO) if price > 0.0 else 1.0
