"""A support desk's mix of tickets on pool A2: 40 % simple, 35 % moderate, 20 % complex, 5 % edge cases.

`tickets_*.jsonl` in a split says which question stands for which ticket. Where the rows that are applied to are part of
`train`, all its questions of a stratum stand for it, each with the weight that gives the mix.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from routing_lab.data import DataMissingError, Source
from routing_lab.effort import Effort
from routing_lab.pool_study import WANTED, Halves, halves, policy_lines
from streamroute.core.routing.learned.outcome_rows import Row
from streamroute.stores.outcome_files import lines

POOL = "A2"
SHARES = {"simple": 0.40, "moderate": 0.35, "complex": 0.20, "edge": 0.05}
NAME = "tickets"

Kinds = Mapping[str, str]
"""Stratum by domain of a dataset."""


def ticket_study(source: Source, split: str, *, is_fast: bool = False) -> list[dict[str, Any]]:
    """Return one line a policy."""
    effort = Effort.of(is_fast=is_fast)
    of = halves(source, POOL, split, effort)
    strata = _strata(source.folder("train"), of.train.rows)
    train = of.train.weighted(_weights(of.train.rows, strata))
    if of.is_same:
        test = train
    elif split == "validation":
        test = of.test.weighted(_weights(of.test.rows, strata))
    else:
        wanted = {(each["dataset"], each["query_id"]) for each in _tickets(source.folder(split))}
        test = of.test.picked([(row.dataset, row.query_id) in wanted for row in of.test.rows])
    if not (len(train.rows) and len(test.rows)):
        msg = f"no question of the tickets is in {split!r}, or none in train: nothing is measured"
        raise DataMissingError(msg)
    mixed = Halves(NAME, split, train, test, is_same=of.is_same, every=test)
    return policy_lines(mixed, WANTED[NAME], effort)


def _tickets(folder: Path) -> list[dict[str, Any]]:
    found = sorted(folder.glob("tickets_*.jsonl"))
    if not found:
        msg = f"no tickets_*.jsonl in {folder.name!r}: nothing is measured"
        raise DataMissingError(msg)
    return list(lines(found[0]))


def _strata(folder: Path, rows: Sequence[Row]) -> Kinds:
    """Return which stratum a domain stands for, from those tickets whose question is there."""
    by_id = {(row.dataset, row.query_id): row.kind for row in rows}
    votes: dict[str, Counter[str]] = {}
    for each in _tickets(folder):
        kind = by_id.get((each["dataset"], each["query_id"]))
        if kind is not None:
            votes.setdefault(kind, Counter())[_stratum(each["stratum"])] += 1
    return {kind: count.most_common(1)[0][0] for kind, count in votes.items()}


def _stratum(stratum: str) -> str:
    return next((name for name in SHARES if stratum.startswith(name)), stratum)


def _weights(rows: Sequence[Row], strata: Kinds) -> NDArray[np.float64]:
    own = [strata.get(row.kind, "") for row in rows]
    many = Counter(own)
    return np.array([SHARES.get(each, 0.0) / many[each] * len(rows) for each in own])
