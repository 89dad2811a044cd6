"""The first level on recorded questions: fitted on some, asked about others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.signals import signals
from streamroute.core.routing.learned.outcome_rows import Row, agreement
from streamroute.core.routing.learned.stage import Seen, Stage, features, stages
from streamroute.core.routing.learned.tier_models import Lesson, TierModels, answer_vector, question_vector

Floats = NDArray[np.float64]

EPOCHS = 3
"""1, 3 and 6 differ by .02 and .002 of AUROC."""
_LEAST_OF_A_DOMAIN = 30
"""Rows: with fewer its prior is mostly noise."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row as the models see it."""

    row: Row
    lesson: Lesson
    signals: Mapping[int, tuple[float, ...]]
    agreement: Mapping[tuple[int, int], bool]


def prepare(rows: Sequence[Row], tiers: Sequence[str], *, with_domain: bool = True) -> list[Prepared]:
    """Read every row once."""
    return [_prepared(row, tiers, with_domain=with_domain) for row in rows]


def _prepared(row: Row, tiers: Sequence[str], *, with_domain: bool) -> Prepared:
    judged = range(len(tiers) - 1)
    question = question_vector(row.text, row.kind if with_domain else "")
    answers = [row.outcomes[model].answer if model in row.outcomes else None for model in tiers[:-1]]
    vectors = [answer_vector(question, each.text) if each is not None and each.text else None for each in answers]
    every = [each.score for each in row.outcomes.values()]
    scores = [row.outcomes[model].score if model in row.outcomes else 0.0 for model in tiers]
    known = [float(model in row.outcomes) for model in tiers]
    lesson = Lesson(
        question,
        vectors,
        np.array([*scores, sum(every) / len(every)], np.float32),
        np.array([*known, 1.0], np.float32),
    )
    return Prepared(
        row,
        lesson,
        {tier: signals(answer) for tier, answer in enumerate(answers) if answer is not None},
        {
            (one, two): agreement(row, tiers[one], tiers[two])
            for one in judged
            for two in range(one + 1, len(judged))
            if row.is_complete([tiers[one], tiers[two]])
        },
    )


def fitted(prepared: Sequence[Prepared], tiers: int, rng: np.random.Generator, epochs: int = EPOCHS) -> TierModels:
    """Return models that have seen these rows in random order, `epochs` times."""
    models = TierModels(tiers, tiers - 1)
    for _ in range(epochs):
        for at in rng.permutation(len(prepared)).tolist():
            models.learn(prepared[at].lesson)
    return models


def seen(prepared: Prepared, models: TierModels) -> Seen:
    """Return all that may be known of a row, by these models."""
    nothing = np.zeros(2)
    answers = {
        tier: nothing if vector is None else models.of_answer(tier, vector)
        for tier, vector in enumerate(prepared.lesson.answers)
    }
    return Seen(
        question=models.of_question(prepared.lesson.question),
        domain=prepared.row.kind,
        answers=answers,
        signals=prepared.signals,
        agreement=prepared.agreement,
        unknown_share=models.unknown_share(prepared.lesson.question),
    )


def seen_held_out(
    prepared: Sequence[Prepared],
    extra: Sequence[Prepared],
    tiers: int,
    folds: NDArray[np.intp],
    seed: int,
    epochs: int = EPOCHS,
) -> list[Seen]:
    """Return what models that have not seen its fold know of each row; `extra` rows are always learned from."""
    found: dict[int, Seen] = {}
    for fold in np.unique(folds):
        rest = [each for each, own in zip(prepared, folds, strict=True) if own != fold]
        models = fitted([*rest, *extra], tiers, np.random.default_rng(seed), epochs)
        for at in np.flatnonzero(folds == fold).tolist():
            found[at] = seen(prepared[at], models)
    return [found[at] for at in range(len(prepared))]


def known_domains(prepared: Sequence[Prepared]) -> list[str]:
    """Return the domains with enough rows, in order of their names."""
    count: dict[str, int] = {}
    for each in prepared:
        count[each.row.kind] = count.get(each.row.kind, 0) + 1
    return sorted(domain for domain, many in count.items() if many >= _LEAST_OF_A_DOMAIN)


def by_stage(seen_rows: Sequence[Seen], tiers: int, domains: Sequence[str]) -> dict[Stage, Floats]:
    """Return the features of every stage, one row a request."""
    return {stage: np.array([features(each, stage, domains) for each in seen_rows]) for stage in stages(tiers - 1)}


def batches(rows: Sequence[Row], tiers: Sequence[str]) -> tuple[list[Row], list[Row]]:
    """Return the rows that every tier was asked, and those that only some were."""
    complete = [row for row in rows if row.is_complete(tiers)]
    partial = [row for row in rows if not row.is_complete(tiers) and any(model in row.outcomes for model in tiers)]
    return complete, partial


def outcome_arrays(rows: Sequence[Row], tiers: Sequence[str]) -> Iterator[Floats]:
    """Return scores, then costs: one row a request, one column a tier."""
    yield np.array([[row.outcomes[model].score for model in tiers] for row in rows])
    yield np.array([[row.outcomes[model].cost_usd for model in tiers] for row in rows])
