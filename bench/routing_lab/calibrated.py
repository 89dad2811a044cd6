"""Whether a probability of being right is one: of answers given .8, are eight in ten right?

The first level's log-odds, of a question alone and with the small models' answers, are turned into probabilities three
ways: as they are; by a line or by steps, whichever does better on rows that neither saw (`fitted_calibration`), fitted
on rows that the models had not seen; and by `OnlineCalibration`, from one outcome after another of the rows that are
asked about, in random order (each before it is learned from).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routing_lab.data import DataMissingError, Source, rows
from routing_lab.effort import Effort
from streamroute.core.quality.calibration import OnlineCalibration, calibration_error, fitted_calibration
from streamroute.core.routing.learned.first_level import batches
from streamroute.core.routing.learned.fitting import Material, all_learned, applied_material, held_out_material

Floats = NDArray[np.float64]

POOL = "A2"
_SEED = 20_261_125
_DRAWS = 200
"""Of outcomes from the probabilities themselves: with so many rows the error of a perfect calibration is not nought."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Log-odds that were given, and whether the answers were right."""

    name: str
    known: tuple[Floats, Floats]
    """Of rows that calibration may see."""
    asked: tuple[Floats, Floats]


def measure(source: Source, split: str, *, is_fast: bool = False) -> list[dict[str, Any]]:
    """Return a line for each upstream's log-odds, of the question alone and with its answer. `train` and `validation`:
    every row by models, and by a calibration, that have not seen it. DataMissingError: the split has no rows."""
    spec, effort = source.pools[POOL], Effort.of(is_fast=is_fast)
    tiers = spec["tiers"]
    known, partial = batches(rows(source.folder("train"), spec["datasets"]), tiers)
    is_same = split in {"train", "validation"}
    asked = known if is_same else batches(rows(source.folder(split), spec["datasets"]), tiers)[0]
    if not asked or not known:
        msg = f"no rows in {split!r} that all of {', '.join(tiers)} were asked: nothing is measured"
        raise DataMissingError(msg)
    fitted = held_out_material(known, partial, tiers, effort.epochs)
    if is_same:
        is_known = [fitted.folds != fold for fold in np.unique(fitted.folds)]
        parts = [(fitted.picked(each), fitted.picked(~each)) for each in is_known]
    else:
        models = all_learned(known, partial, tiers, effort.epochs)
        parts = [(fitted, applied_material(asked, tiers, models, fitted.domains))]
    of_parts = [[*judged(tiers, one, other)] for one, other in parts]
    return [
        {"pool": "calibration", "split": split, "stream": POOL, **line(each)} for each in zip(*of_parts, strict=True)
    ]


def judged(tiers: Sequence[str], known: Material, asked: Material) -> Iterator[Judged]:
    """Return what was said of every tier: from the question, then from the answer where it was read."""

    def said(of: Material, tier: int, *, of_answer: bool) -> tuple[Floats, Floats]:
        log_odds = [each.answers[tier][0] if of_answer else each.question[tier] for each in of.seen]
        return np.array(log_odds), of.outcomes.scores[:, tier]

    for of_answer, many in ((False, len(tiers)), (True, len(tiers) - 1)):
        for tier in range(many):
            yield Judged(
                f"{tiers[tier]}, {'with its answer' if of_answer else 'question alone'}",
                said(known, tier, of_answer=of_answer),
                said(asked, tier, of_answer=of_answer),
            )


def line(parts: Sequence[Judged]) -> dict[str, Any]:
    """Return the calibration errors over all parts: each is calibrated by what it knows, and counts in what it asks."""
    fitted = [fitted_calibration(*part.known).probability(part.asked[0]) for part in parts]
    log_odds: Floats = np.concatenate([part.asked[0] for part in parts])
    outcomes: Floats = np.concatenate([part.asked[1] for part in parts])
    raw: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    calibrated: Floats = np.concatenate(fitted)
    online, one_by_one = OnlineCalibration(), np.zeros(len(raw))
    rng = np.random.default_rng(_SEED)
    for at in rng.permutation(len(raw)).tolist():
        one_by_one[at] = online.probability(float(raw[at]))
        online.learn(float(raw[at]), float(outcomes[at]))
    usual, most = error_by_chance(calibrated, rng)
    return {
        "policy": parts[0].name,
        "n": len(raw),
        "calibration_error_raw": round(calibration_error(raw, outcomes), 4),
        "calibration_error": round(calibration_error(calibrated, outcomes), 4),
        "calibration_error_online": round(calibration_error(one_by_one, outcomes), 4),
        "calibration_error_by_chance": usual,
        "calibration_error_by_chance_95": most,
    }


def error_by_chance(probabilities: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Return the error that is measured where the probabilities are exactly right: its mean, and what it exceeds once
    in twenty times."""
    drawn = [
        calibration_error(probabilities, np.asarray(rng.random(len(probabilities)) < probabilities, np.float64))
        for _ in range(_DRAWS)
    ]
    return round(float(np.mean(drawn)), 4), round(float(np.quantile(drawn, 0.95)), 4)
