"""Requests one after another, and a policy that is audited while it serves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from streamroute.core.routing.learned.domain_drift import DomainDrift, UsualWords
from streamroute.core.routing.learned.domain_guard import DomainGuard, GuardOptions
from streamroute.core.routing.learned.fitting import Material
from streamroute.core.routing.learned.stage import Stage
from streamroute.core.routing.learned.tier_policy import TierPolicy, moves

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Streamed:
    """One row a request, in the order in which they came: `order` says which."""

    order: NDArray[np.intp]
    quality: Floats
    cost_usd: Floats
    tier: NDArray[np.intp]
    trust: Mapping[str, str]
    """At the end, by domain."""


@dataclass(frozen=True)
class Fitted:
    """A policy, and the utilities it gives to rows."""

    policy: TierPolicy
    utilities: Mapping[Stage, Floats]
    tiers: Sequence[int]
    """Which of the pool's tiers its own are."""

    @classmethod
    def of(cls, policy: TierPolicy, features: Mapping[Stage, Floats], tiers: Sequence[int] | None = None) -> "Fitted":
        """Compute the utilities of all rows at once; `tiers`: all where none are given."""
        utilities = {stage: policy.utilities(stage, features[stage]) for stage in policy.models}
        return cls(policy, utilities, range(policy.tiers) if tiers is None else tiers)


@dataclass(frozen=True, slots=True)
class Walk:
    """How far small models were asked: whose answer is the best so far, and whether it is delivered."""

    tier: int | None
    """None: the large model was asked at once."""
    is_accepted: bool
    margin: float
    """Utility of delivering less that of asking the large model."""
    cost_usd: float


def stream(
    material: Material,
    known: Fitted,
    unknown: Fitted,
    usual: Mapping[str, UsualWords],
    rng: np.random.Generator,
    options: GuardOptions,
) -> Streamed:
    """Serve all rows in random order: those of domains that were fitted on by `known` while their words are what is
    `usual` there, all others by `unknown`."""
    scores, costs = material.outcomes.scores, material.outcomes.costs_usd
    order = rng.permutation(len(scores))
    attempt_cost = float(costs[:, 0].mean() / costs[:, -1].mean())
    guards: dict[str, DomainGuard] = {}
    watched = {domain: DomainDrift(each) for domain, each in usual.items()}
    quality, cost, tiers = np.zeros(len(order)), np.zeros(len(order)), np.zeros(len(order), np.intp)
    for place, at in enumerate(order.tolist()):
        domain = material.rows[at].kind
        if domain not in guards:
            guards[domain] = DomainGuard(options, domain in watched, attempt_cost)
        if domain in watched and watched[domain].asked(material.seen[at].unknown_share):
            guards[domain] = DomainGuard(options, is_known=False, attempt_cost=attempt_cost)
        guard = guards[domain]
        fitted = known if guard.is_known else unknown
        spent, tier = _serve(fitted, guard, at, scores[at], costs[at], rng)
        quality[place], cost[place], tiers[place] = scores[at, tier], spent, tier
    return Streamed(order, quality, cost, tiers, {name: guard.trust.value for name, guard in guards.items()})


def _serve(
    fitted: Fitted, guard: DomainGuard, at: int, scores: Floats, costs: Floats, rng: np.random.Generator
) -> tuple[float, int]:
    """Return what one request costs, and whose answer is delivered."""
    last = len(scores) - 1
    share = guard.look_share
    is_looked_at = rng.random() < share
    if guard.caution == inf and not is_looked_at:
        guard.passed()
        return costs[last], last
    walked = walk(fitted, 0.0 if guard.caution == inf else guard.caution, at, costs)
    if walked.tier is None:
        guard.passed()
        return walked.cost_usd + costs[last], last
    is_accepted = walked.is_accepted and guard.caution != inf
    if is_accepted and not is_looked_at:
        guard.passed()
        return walked.cost_usd, walked.tier
    chance = share if walked.is_accepted or guard.caution == inf else 1.0
    guard.looked(margin=walked.margin, gain=scores[last] - scores[walked.tier], share=chance)
    return walked.cost_usd + costs[last], last


def walk(fitted: Fitted, caution: float, at: int, costs: Floats) -> Walk:
    """Ask small models one after another until an answer is accepted or the large model is to be asked."""
    policy, spent = fitted.policy, 0.0
    last = policy.tiers - 1
    stage: Stage = ()
    while True:
        options = moves(stage, policy.tiers, policy.kind)
        utilities = fitted.utilities[stage][at]
        cautious = utilities + caution * np.array([move.kind == "ask" and move.tier == last for move in options])
        move = options[int(cautious.argmax())]
        if move.kind == "ask" and move.tier != last:
            spent += costs[fitted.tiers[move.tier]]
            if policy.kind == "router":
                margin = float(utilities[options.index(move)] - utilities[-1])
                return Walk(fitted.tiers[move.tier], is_accepted=True, margin=margin, cost_usd=spent)
            stage = (*stage, move.tier)
            continue
        delivered = [(utilities[i], each.tier) for i, each in enumerate(options) if each.kind == "deliver"]
        if not delivered:
            return Walk(None, is_accepted=False, margin=0.0, cost_usd=spent)
        best, tier = max(delivered)
        return Walk(
            fitted.tiers[tier], is_accepted=move.kind == "deliver", margin=float(best - utilities[-1]), cost_usd=spent
        )
