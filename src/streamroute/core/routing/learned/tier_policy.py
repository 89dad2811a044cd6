"""Whom to ask first, and after every answer whether to deliver it or to ask a larger model.

Cascade routing (Dekoninck et al., ICML 2025, arXiv 2410.10347) as fitted dynamic programming: after each answer every
way on has a utility, quality minus `price` times cost, and the best is taken. The utility of asking a tier whose answer
is judged again is that of what is decided then, so the stages are fitted from the last to the first, each on what the
decisions of the later ones were really worth. Those decisions come from models that have not seen the question
(cross-fitting): else they would look better than they are. Being fitted on utilities, the models learn *gain*, not
correctness: a doubtful answer is kept where the larger model fails too.

`router` asks one tier and delivers, `cascade` begins with the smallest, `hybrid` may begin anywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.ridge import PENALTY, Ridge
from streamroute.core.routing.learned.stage import Stage, stages

Floats = NDArray[np.float64]
PolicyKind = Literal["router", "cascade", "hybrid"]


@dataclass(frozen=True, slots=True)
class Move:
    """Deliver a tier's answer, which is there, or ask a tier."""

    kind: Literal["deliver", "ask"]
    tier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What asking each tier came to: one row a request, one column a tier, smallest first."""

    scores: Floats
    costs_usd: Floats

    @property
    def tiers(self) -> int:
        """How many there are."""
        return int(self.scores.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a policy would have come to: one row a request, one column a price."""

    quality: Floats
    cost_usd: Floats
    tier: NDArray[np.intp]
    """Whose answer was delivered."""


def moves(stage: Stage, tiers: int, kind: PolicyKind = "hybrid") -> list[Move]:
    """Return what may be done at a stage."""
    if not stage and kind == "cascade":
        return [Move("ask", 0)]
    first = stage[-1] + 1 if stage else 0
    return [Move("deliver", tier) for tier in stage] + [Move("ask", tier) for tier in range(first, tiers)]


def policy_stages(tiers: int, kind: PolicyKind) -> list[Stage]:
    """Return the stages that a policy of this kind can reach, last ones first."""
    if kind == "router":
        return [()]
    every = stages(tiers - 1)
    return every if kind == "hybrid" else [stage for stage in every if not stage or stage[0] == 0]


@dataclass(slots=True)
class TierPolicy:
    """Decides one stage at a time."""

    tiers: int
    kind: PolicyKind
    models: dict[Stage, Ridge] = field(default_factory=dict)
    price: float | None = None
    """That its utilities are at, quality points per US dollar; None: nobody has noted it down."""

    def utilities(self, stage: Stage, features: Floats) -> Floats:
        """Return the utility of each of `moves`, for one row of features or for many."""
        return self.models[stage].predict(features)

    def choose(self, stage: Stage, features: Floats, caution: float = 0.0) -> Move:
        """Return the best move; `caution` is added to the utility of the largest tier."""
        options = moves(stage, self.tiers, self.kind)
        best = self.best(options, self.utilities(stage, features), caution)
        return options[0] if best is None else best

    def best(
        self,
        options: Sequence[Move],
        utilities: Floats,
        caution: float = 0.0,
        may: Callable[[Move], bool] = lambda _: True,
    ) -> Move | None:
        """Return the best of a stage's moves that `may` be made, None where there is none."""
        numbers = utilities.tolist()
        if options[-1].tier == self.tiers - 1:
            numbers[-1] += caution
        allowed = [at for at, move in enumerate(options) if may(move)]
        return options[max(allowed, key=numbers.__getitem__)] if allowed else None


def fit(
    features: Mapping[Stage, Floats],
    outcomes: Outcomes,
    price: float,
    folds: NDArray[np.intp],
    *,
    kind: PolicyKind = "hybrid",
    penalty: float = PENALTY,
) -> TierPolicy:
    """Return a policy for one price (quality points per US dollar). Rows of one number in `folds` go together."""
    policy = TierPolicy(outcomes.tiers, kind, price=price)
    _backwards(features, outcomes, np.array([price]), folds, kind, penalty, policy)
    return policy


def replay_held_out(
    features: Mapping[Stage, Floats],
    outcomes: Outcomes,
    prices: Floats,
    folds: NDArray[np.intp],
    *,
    kind: PolicyKind = "hybrid",
    penalty: float = PENALTY,
) -> Replay:
    """Return what policies of many prices come to on requests that their models have not seen: to choose a price by."""
    return _backwards(features, outcomes, prices, folds, kind, penalty, None)


def replay(policy: TierPolicy, features: Mapping[Stage, Floats], outcomes: Outcomes) -> Replay:
    """Return what a fitted policy comes to on other requests; one column."""
    done: dict[Stage, Replay] = {}
    for stage in policy_stages(policy.tiers, policy.kind):
        options = moves(stage, policy.tiers, policy.kind)
        chosen = policy.utilities(stage, features[stage]).argmax(axis=1)[:, None]
        done[stage] = _taken(chosen, [_outcome_of(move, stage, outcomes, done, policy.kind, 1) for move in options])
    return done[()]


def _backwards(
    features: Mapping[Stage, Floats],
    outcomes: Outcomes,
    prices: Floats,
    folds: NDArray[np.intp],
    kind: PolicyKind,
    penalty: float,
    policy: TierPolicy | None,
) -> Replay:
    done: dict[Stage, Replay] = {}
    rows, many = len(outcomes.scores), len(prices)
    for stage in policy_stages(outcomes.tiers, kind):
        options = moves(stage, outcomes.tiers, kind)
        ways = [_outcome_of(move, stage, outcomes, done, kind, many) for move in options]
        targets = np.stack([way.quality - prices * way.cost_usd for way in ways], axis=1)
        flat = targets.reshape(rows, len(options) * many)
        predicted = _held_out(features[stage], flat, folds, penalty).reshape(targets.shape)
        done[stage] = _taken(predicted.argmax(axis=1), ways)
        if policy is not None:
            model = Ridge(features[stage].shape[1], len(options), penalty=penalty)
            model.learn(features[stage], flat)
            policy.models[stage] = model
    return done[()]


def _held_out(features: Floats, targets: Floats, folds: NDArray[np.intp], penalty: float) -> Floats:
    predicted = np.zeros(targets.shape)
    for fold in np.unique(folds):
        model = Ridge(features.shape[1], targets.shape[1], penalty=penalty)
        model.learn(features[folds != fold], targets[folds != fold])
        predicted[folds == fold] = model.predict(features[folds == fold])
    return predicted


def _outcome_of(
    move: Move, stage: Stage, outcomes: Outcomes, done: Mapping[Stage, Replay], kind: PolicyKind, many: int
) -> Replay:
    """What a move comes to when all later ones are those of the policy."""
    rows = len(outcomes.scores)
    score = np.repeat(outcomes.scores[:, move.tier, None], many, axis=1)
    tier = np.full((rows, many), move.tier)
    if move.kind == "deliver":
        return Replay(quality=score, cost_usd=np.zeros((rows, many)), tier=tier)
    cost = np.repeat(outcomes.costs_usd[:, move.tier, None], many, axis=1)
    if kind == "router" or move.tier == outcomes.tiers - 1:
        return Replay(quality=score, cost_usd=cost, tier=tier)
    after = done[*stage, move.tier]
    return Replay(quality=after.quality, cost_usd=cost + after.cost_usd, tier=after.tier)


def _taken(chosen: NDArray[np.intp], ways: Sequence[Replay]) -> Replay:
    at = chosen[:, None, :]

    def pick(values: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
        return np.take_along_axis(np.stack(values, axis=1), at, axis=1)[:, 0, :]

    return Replay(
        quality=np.asarray(pick([way.quality for way in ways]), np.float64),
        cost_usd=np.asarray(pick([way.cost_usd for way in ways]), np.float64),
        tier=np.asarray(pick([way.tier for way in ways]), np.intp),
    )
