"""Recorded outcomes: questions, what each model answered, whether it was right, what it cost.

A folder holds `pools.json`, and one folder a split with `NAME.queries.jsonl.gz`, `NAME.outcomes.csv.gz` and, for small
models, `NAME.outputs.jsonl.gz`.
"""

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from streamroute.core.quality.signals import Answer
from streamroute.core.routing.learned.outcome_rows import Outcome, Row

VALIDATION_SHARE = 0.25


class DataMissingError(Exception):
    """There is nothing to measure with."""


@dataclass(frozen=True)
class Source:
    """A folder of recorded outcomes."""

    root: Path

    @cached_property
    def pools(self) -> dict[str, Any]:
        """Models by pool, smallest first, and where they were asked."""
        path = self.root / "pools.json"
        if not path.exists():
            msg = f"no pools.json in the data folder: nothing is measured ({path.name} lists models and datasets)"
            raise DataMissingError(msg)
        pools: dict[str, Any] = json.loads(path.read_text())
        return pools

    def folder(self, split: str) -> Path:
        """Return the folder of a split, which may also be a path."""
        for folder in (self.root / split, Path(split)):
            if folder.is_dir():
                return folder
        msg = f"no folder {split!r}, neither in the data folder nor as a path: nothing is measured"
        raise DataMissingError(msg)


def rows(folder: Path, datasets: Sequence[str] | None = None) -> list[Row]:
    """Read questions with their outcomes; of all datasets where none are named."""
    names = datasets or sorted(
        path.name.removesuffix(".queries.jsonl.gz") for path in folder.glob("*.queries.jsonl.gz")
    )
    return [row for name in names if (folder / f"{name}.queries.jsonl.gz").exists() for row in _dataset(folder, name)]


def _dataset(folder: Path, name: str) -> Iterator[Row]:
    texts = {(each["query_id"], each["model"]): each["text"] for each in lines(folder / f"{name}.outputs.jsonl.gz")}
    outcomes: dict[str, dict[str, Outcome]] = {}
    for each in table(folder / f"{name}.outcomes.csv.gz"):
        key = each["query_id"], each["model"]
        outcomes.setdefault(key[0], {})[key[1]] = _outcome(each, texts.get(key, ""))
    for each in lines(folder / f"{name}.queries.jsonl.gz"):
        found = outcomes.get(each["query_id"])
        if found:
            yield Row(
                dataset=name, query_id=each["query_id"], domain=each["domain"], text=each["prompt"], outcomes=found
            )


def _outcome(each: dict[str, str], text: str) -> Outcome:
    is_well_formed = each["format_ok"] == "1"
    says = each["answer"]
    return Outcome(
        score=float(each["score"]),
        cost_usd=float(each["cost_usd"]),
        answer=Answer(
            text=text,
            conclusion=says if says or is_well_formed else None,
            is_well_formed=is_well_formed,
            is_truncated=each["truncated"] == "1",
            is_refusal=each["refusal"] == "1",
        ),
    )


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file of JSON lines, packed or not; nothing where there is none."""
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def table(path: Path) -> Iterator[dict[str, str]]:
    """Read a packed CSV file; nothing where there is none."""
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)


def is_validation(row: Row) -> bool:
    """A quarter of all questions, by their hash."""
    return row.hash % 1_000 < VALIDATION_SHARE * 1_000
