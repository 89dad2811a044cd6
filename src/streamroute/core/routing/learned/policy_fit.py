"""A tier policy for one route, fitted on recorded outcomes of its models: what `streamroute routing fit` does.

Answers are read as a sidecar reads them when it holds them, from their text alone, so that what is fitted is what will
be seen. All figures are of requests that the models have not seen (cross-fitting).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from streamroute.core.quality.checks import assess
from streamroute.core.quality.signals import answer_of
from streamroute.core.quality.verdict import Draft, Wanted
from streamroute.core.routing.learned.first_level import EPOCHS, batches
from streamroute.core.routing.learned.fitted_policy import FittedPolicy, averaged, lead, with_every_stage
from streamroute.core.routing.learned.fitting import (
    FOLDS,
    KINDS,
    OPTIMISM,
    Curve,
    Material,
    all_learned,
    cautious_policy,
    curve,
    domain_folds,
    held_out_material,
    policy,
    usual_words_of,
)
from streamroute.core.routing.learned.outcome_rows import Outcome, Row
from streamroute.core.routing.learned.served import Served, always, ratio_interval, served_by
from streamroute.core.routing.learned.tier_policy import PolicyKind, TierPolicy

LEAST_ROWS = 200
"""Questions that every tier has answered: the standard error of a ratio of qualities is then about .05, of which more
than half is common to all policies; with fewer the choice among prices is chance."""


_SAME = 1e-9
"""Sums of the same scores in another order differ by less."""


class FitError(ValueError):
    """No policy can be had from these outcomes; says why, and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one policy comes to, against always asking the largest tier."""

    quality: float
    """0..1, the mean."""
    quality_ratio: float
    quality_ratio_interval: tuple[float, float]
    """95 %, by bootstrap."""
    saving: float
    """Share of what the largest tier costs; below 0 where it costs more."""
    saving_interval: tuple[float, float]
    tier_shares: tuple[float, ...]
    """Whose answers are delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFit:
    """A policy, and what is to be expected of it."""

    fitted: FittedPolicy
    price: float
    """Quality points a US dollar."""
    wanted_ratio: float
    """That was asked for on the fitted rows."""
    rows: int
    partial: int
    """Questions that only some tiers were asked: their words were learned from."""
    left_out: Mapping[str, int]
    """How many were not used, by the reason."""
    domains: Mapping[str, int]
    """Questions by domain."""
    always: Sequence[Figures]
    """By tier: what it comes to alone."""
    expected: Mapping[PolicyKind, Figures]
    """By kind, at the price that saves most."""


def fit_policy(
    rows: Sequence[Row], tiers: Sequence[Sequence[str]], keep_quality: float, name: str, epochs: int = EPOCHS
) -> PolicyFit:
    """Fit. Outcomes are by the first upstream of each tier; others in them only tell how hard a question is.

    `keep_quality`: the least ratio of qualities, against the largest tier alone. FitError: there is too little, or
    nothing to be saved.
    """
    names = lead(tiers)
    read, left_out = _readable(rows, names)
    complete, partial = batches(read, names)
    if len(complete) < LEAST_ROWS:
        raise FitError(_too_few(complete, read, names, left_out))
    material = held_out_material(complete, partial, names, epochs)
    outcomes = material.outcomes
    if not (outcomes.scores[:, -1].any() and outcomes.costs_usd[:, -1].any()):
        raise FitError(f"{names[-1]} is never right, or never costs anything: there is nothing to keep or to save")
    curves = {kind: curve(material, kind) for kind in KINDS}
    most = max(float(each.ratios.max()) for each in curves.values())
    if most < keep_quality:
        raise FitError(
            f"no policy keeps {keep_quality:g} of the quality of {names[-1]}: the most is {most:.3f}. "
            "Ask for less with --keep-quality"
        )
    wanted = min(keep_quality + OPTIMISM, most)
    expected = {kind: _figures(_served(each, wanted, len(names)), material) for kind, each in curves.items()}
    kind = max(KINDS, key=lambda each: (expected[each].quality_ratio >= wanted - _SAME, expected[each].saving))
    if expected[kind].saving <= 0:
        raise FitError(
            f"nothing is saved where {keep_quality:g} of the quality of {names[-1]} is kept: the smaller tiers cost "
            "too much for what they get right. Ask for less with --keep-quality, or leave a tier out"
        )
    price = curves[kind].price_for(wanted)
    chosen, hybrid = (policy(material, price, each) for each in (kind, "hybrid"))
    costs = outcomes.costs_usd
    unknown: TierPolicy | None = None
    if len(material.domains) >= FOLDS:  # whole domains are left out in turn: of fewer too little would be left
        apart = held_out_material(complete, partial, names, epochs, domain_folds(complete))
        unknown = cautious_policy(apart, keep_quality)
    return PolicyFit(
        fitted=FittedPolicy(
            name=name,
            tiers=tuple(tuple(tier) for tier in tiers),
            policy=with_every_stage(chosen, hybrid),
            unknown=unknown,
            models=averaged(all_learned(complete, partial, names, epochs)),
            domains=tuple(material.domains),
            usual_words=usual_words_of(material),
            attempt_cost=float(costs[:, 0].mean() / costs[:, -1].mean()),
        ),
        price=price,
        wanted_ratio=wanted,
        rows=len(complete),
        partial=len(partial),
        left_out=left_out,
        domains=dict(Counter(row.kind for row in complete).most_common()),
        always=[_figures(always(outcomes, tier), material) for tier in range(len(names))],
        expected=expected,
    )


def as_held(row: Row, judged: Sequence[str]) -> Row:
    """Return a row whose judged answers are what a sidecar makes of their text; all else stays."""
    return replace(row, outcomes={**row.outcomes, **{name: _held(row.outcomes[name]) for name in judged}})


def _is_there(outcome: Outcome) -> bool:
    return outcome.draft is not None or bool(outcome.answer.text)


def _held(outcome: Outcome) -> Outcome:
    draft = outcome.draft
    if draft is None:
        draft = Draft(text=outcome.answer.text, finish_reason="length" if outcome.answer.is_truncated else "stop")
    return replace(outcome, answer=answer_of(draft, assess(draft, Wanted())), draft=draft)


def _readable(rows: Sequence[Row], names: Sequence[str]) -> tuple[list[Row], dict[str, int]]:
    """Return the rows that can be used, read as a sidecar does, and how many cannot by the reason."""
    found: dict[int, Row] = {}
    left_out: Counter[str] = Counter()
    for row in rows:
        judged = [name for name in names[:-1] if name in row.outcomes]
        wordless = next((name for name in judged if not _is_there(row.outcomes[name])), None)
        if row.hash in found:
            left_out["the question was there before"] += 1
        elif not any(name in row.outcomes for name in names):
            left_out["no tier was asked it"] += 1
        elif wordless is not None:
            left_out[f"the answer of {wordless} is not there"] += 1
        else:
            found[row.hash] = as_held(row, judged)
    return list(found.values()), dict(left_out)


def _too_few(complete: Sequence[Row], read: Sequence[Row], names: Sequence[str], left_out: Mapping[str, int]) -> str:
    counts = {name: sum(name in row.outcomes for row in read) for name in names}
    known = ", ".join(f"{name} {many}" for name, many in counts.items())
    why = "".join(f"; {many} left out: {reason}" for reason, many in left_out.items())
    return (
        f"only {len(complete)} questions have an outcome of every tier; {LEAST_ROWS} are the least "
        f"(outcomes: {known}{why})"
    )


def _served(of: Curve, ratio: float, tiers: int) -> Served:
    """Return what the price for a ratio comes to, each question by models that have not seen it."""
    at, done = int(np.flatnonzero(of.prices == of.price_for(ratio))[0]), of.replay
    return served_by(done.tier[:, at], done.quality[:, at], done.cost_usd[:, at], tiers)


def _figures(served: Served, material: Material) -> Figures:
    large = always(material.outcomes, material.outcomes.tiers - 1)
    weights = material.weights
    low, high = ratio_interval(served.cost_usd, large.cost_usd, weights)
    return Figures(
        quality=float(served.quality.mean()),
        quality_ratio=float(served.quality.sum() / large.quality.sum()),
        quality_ratio_interval=ratio_interval(served.quality, large.quality, weights),
        saving=1.0 - float(served.cost_usd.sum() / large.cost_usd.sum()),
        saving_interval=(1.0 - high, 1.0 - low),
        tier_shares=tuple(map(float, served.shares)),
    )
