"""Requests one after another, and a policy that is audited while it serves them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from routing_lab.study import Material
from streamroute.core.routing.learned.domain_guard import DomainGuard, GuardOptions, Trust
from streamroute.core.routing.learned.stage import Stage
from streamroute.core.routing.learned.tier_policy import Move, TierPolicy, moves

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Served:
    """One row a request, in the order in which they came: `order` says which."""

    order: NDArray[np.intp]
    quality: Floats
    cost_usd: Floats
    tier: NDArray[np.intp]
    trust: Mapping[str, str]
    """At the end, by domain."""


@dataclass(frozen=True)
class Fitted:
    """A policy with its price, and the utilities it gives to rows."""

    policy: TierPolicy
    price: float
    utilities: Mapping[Stage, Floats]

    @classmethod
    def of(cls, policy: TierPolicy, price: float, features: Mapping[Stage, Floats]) -> "Fitted":
        """Compute the utilities of all rows at once."""
        return cls(policy, price, {stage: policy.utilities(stage, features[stage]) for stage in policy.models})


def stream(
    material: Material,
    known: Fitted,
    unknown: Fitted,
    domains: set[str],
    rng: np.random.Generator,
    options: GuardOptions,
) -> Served:
    """Serve all rows in random order: those of `domains` by `known`, others by `unknown`."""
    scores, costs = material.outcomes.scores, material.outcomes.costs_usd
    order = rng.permutation(len(scores))
    guards: dict[str, DomainGuard] = {}
    quality, cost, tiers = np.zeros(len(order)), np.zeros(len(order)), np.zeros(len(order), np.intp)
    for place, at in enumerate(order):
        domain = material.rows[at].kind
        guard = guards.setdefault(domain, DomainGuard(options, domain in domains))
        fitted = known if guard.is_known else unknown
        quality[place], cost[place], tiers[place] = _serve(fitted, guard, int(at), scores[at], costs[at], rng)
    return Served(order, quality, cost, tiers, {name: guard.trust.value for name, guard in guards.items()})


def _serve(
    fitted: Fitted, guard: DomainGuard, at: int, scores: Floats, costs: Floats, rng: np.random.Generator
) -> tuple[float, float, int]:
    """Return quality, cost and whose answer it was."""
    last = len(scores) - 1
    is_audited = rng.random() < guard.audit_share
    if guard.trust is Trust.WITHDRAWN and not is_audited:
        return scores[last], costs[last], last
    stage, spent, move = _walk(fitted, guard.caution, at, costs)
    if not stage:
        return scores[last], spent, last
    best, predicted = _predicted(fitted, stage, at)
    gain = scores[last] - scores[best]
    residual = gain - fitted.price * costs[last] - predicted
    if move.kind == "ask":
        guard.escalated(residual)
        return scores[last], spent, last
    was = guard.trust
    if is_audited:
        guard.accepted(share=guard.audit_share, residual=residual, gain=gain)
        spent += costs[last]
    else:
        guard.accepted(share=guard.audit_share, residual=None, gain=None)
    to = move.tier if was is Trust.TRUSTED else last
    return scores[to], spent, to


def _walk(fitted: Fitted, caution: float, at: int, costs: Floats) -> tuple[Stage, float, Move]:
    """Return the last stage, what was spent, and the last move: an answer delivered, or the largest tier asked."""
    policy, spent = fitted.policy, 0.0
    stage: Stage = ()
    last = policy.tiers - 1
    while True:
        options = moves(stage, policy.tiers, policy.kind)
        utilities = fitted.utilities[stage][at].copy()
        utilities[[move.kind == "ask" and move.tier == last for move in options]] += caution
        move = options[int(utilities.argmax())]
        if move.kind == "deliver":
            return stage, spent, move
        spent += costs[move.tier]
        if move.tier == last:
            return stage, spent, move
        stage = (*stage, move.tier)


def _predicted(fitted: Fitted, stage: Stage, at: int) -> tuple[int, float]:
    """Return the tier whose answer would be delivered, and the utility that the largest has beyond it, as predicted."""
    options = moves(stage, fitted.policy.tiers, fitted.policy.kind)
    utilities = fitted.utilities[stage][at]
    delivered = max((utilities[i], -move.tier) for i, move in enumerate(options) if move.kind == "deliver")
    return -delivered[1], float(utilities[-1] - delivered[0])
