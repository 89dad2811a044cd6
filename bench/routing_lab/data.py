"""Recorded outcomes: questions, what each model answered, whether it was right, what it cost.

A folder holds `pools.json`, and one folder a split with `NAME.queries.jsonl.gz`, `NAME.outcomes.csv.gz` and, for small
models, `NAME.outputs.jsonl.gz`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from streamroute.core.routing.learned.outcome_rows import Row
from streamroute.stores.outcome_files import data_set

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
    return [row for name in names if (folder / f"{name}.queries.jsonl.gz").exists() for row in data_set(folder, name)]


def is_validation(row: Row) -> bool:
    """A quarter of all questions, by their hash."""
    return row.hash % 1_000 < VALIDATION_SHARE * 1_000
