"""What a request is about, on labelled questions: how often the classifier is right, and whether its confidence is.

Sets of a split are `NAME*.csv.gz` with a column `text` and one a label, or `NAME.queries.jsonl.gz`. Everything is
fitted on `train`: without a sixth of it, by the hash of the text, where that sixth is what is asked about
(`validation`, or `train`), as CLINC150's authors hold a sixth of theirs.
"""

import hashlib
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routing_lab.data import DataMissingError, Source
from streamroute.core.quality.calibration import calibration_error
from streamroute.core.quality.subject_text import SubjectText, read_subject
from streamroute.core.routing.learned.domain_classifier import DomainClassifier, DomainOptions
from streamroute.stores.outcome_files import lines, table

EPOCHS = 5
_VALIDATION_PART = 6
_SEED = 20_261_125
_TIMED = 500
OUT_OF_SCOPE = "oos"
"""CLINC150's label of requests that belong to no intent."""


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Where texts with labels are, and what is known of others' results on them."""

    name: str
    file: str
    column: str
    reference: float
    """Accuracy of hashed n-grams with an averaged linear model."""


SETS = (
    LabelledSet("clinc150 domains", "clinc150", "domain", 0.967),
    LabelledSet("clinc150 intents", "clinc150", "intent", 0.918),
    LabelledSet("banking77 intents", "banking77", "category", 0.886),
    LabelledSet("mmlu_pro domains", "mmlu_pro", "domain", 0.741),
)


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its label, read."""

    text: str
    label: str
    read: SubjectText

    @property
    def is_validation(self) -> bool:
        """One of the sixth."""
        digest = hashlib.sha256(self.text.encode()).digest()
        return int.from_bytes(digest[:8], "big") % _VALIDATION_PART == 0


def measure(source: Source, split: str, *, is_fast: bool = False) -> list[dict[str, Any]]:
    """Return one line a set that the split has. DataMissingError: it has none."""
    found = []
    for each in SETS:
        train = list(_examples(source.folder("train"), each))
        if split in {"train", "validation"}:
            known = [one for one in train if not one.is_validation]
            asked = [one for one in train if one.is_validation]
        else:
            known, asked = train, list(_examples(source.folder(split), each))
        if known and asked:
            found.append(
                {"pool": "domains", "split": split, "set": each.name, **_line(each, known, asked, is_fast=is_fast)}
            )
    if not found:
        msg = f"no labelled texts in {split!r}: nothing is measured ({', '.join(each.file for each in SETS)})"
        raise DataMissingError(msg)
    return found


def fitted(known: Sequence[Example], epochs: int, options: DomainOptions) -> DomainClassifier:
    """Return a classifier that has learned from the examples in random order, `epochs` times."""
    classifier = DomainClassifier(options)
    rng = np.random.default_rng(_SEED)
    for epoch in range(epochs):
        for at in rng.permutation(len(known)).tolist():
            classifier.learn(known[at].read, known[at].label, is_repeated=epoch > 0)
    return classifier


def _examples(folder: Path, of: LabelledSet) -> Iterator[Example]:
    for path in sorted(folder.glob(f"{of.file}*.csv.gz")):
        if path.name.partition(".")[0] == path.name.removesuffix(".csv.gz"):  # not of recorded outcomes
            for row in table(path):
                yield Example(row["text"], row[of.column], read_subject(row["text"]))
    for each in lines(folder / f"{of.file}.queries.jsonl.gz"):
        yield Example(each["prompt"], each[of.column], read_subject(each["prompt"]))


def _line(of: LabelledSet, known: Sequence[Example], asked: Sequence[Example], *, is_fast: bool) -> dict[str, Any]:
    inside = [one for one in known if one.label != OUT_OF_SCOPE]
    outside = [one for one in (*known, *asked) if one.label == OUT_OF_SCOPE]
    asked = [one for one in asked if one.label != OUT_OF_SCOPE]
    labels = len({one.label for one in inside})
    classifier = fitted(inside, 2 if is_fast else EPOCHS, DomainOptions(most_domains=labels))
    guesses = [classifier.classify(one.read) for one in asked]
    is_right = np.array([guess.nearest == one.label for guess, one in zip(guesses, asked, strict=True)], np.float64)
    confidence = np.array([guess.confidence for guess in guesses])
    said = confidence >= classifier.options.least_confidence
    line: dict[str, Any] = {
        "labels": labels,
        "fitted_on": len(inside),
        "n": len(asked),
        "accuracy": round(float(is_right.mean()), 4),
        "reference": of.reference,
        "accuracy_where_said": round(float(is_right[said].mean()), 4) if said.any() else None,
        "unknown_share": round(float(1.0 - said.mean()), 4),
        "calibration_error": round(calibration_error(confidence, is_right), 4),
    }
    if outside:
        strange = np.array([classifier.classify(one.read).confidence for one in outside])
        line["out_of_scope"] = {"n": len(outside), "auroc": round(_auroc(strange, confidence), 4)}
    line["p50_us"], line["text_chars"] = _time(classifier, asked)
    return line


def _auroc(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    """Return the chance that one of `high` is above one of `low`."""
    return float(np.searchsorted(np.sort(low), high, side="left").mean() / len(low))


def _time(classifier: DomainClassifier, asked: Sequence[Example]) -> tuple[float, int]:
    """Return microseconds to read and classify a text, and the median length of those that were timed."""
    took = []
    for one in asked[:_TIMED]:
        begun = time.perf_counter_ns()
        classifier.classify(read_subject(one.text))
        took.append(time.perf_counter_ns() - begun)
    return round(statistics.median(took) / 1e3, 1), int(statistics.median(len(one.text) for one in asked[:_TIMED]))
