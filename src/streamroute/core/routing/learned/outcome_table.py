"""How good each upstream's answers were, domain by domain: counted, for people to look at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamroute.core.upstream import UpstreamId

MAX_CELLS = 4096
"""Pairs of upstream and domain: clients may make domains up. The one that was learned longest ago goes."""


@dataclass(slots=True)
class Cell:
    """Outcomes of one upstream in one domain."""

    weight: float = 0.0
    score: float = 0.0
    """Sum, weighted."""
    count: int = 0

    @property
    def mean(self) -> float:
        """0..1, weighted."""
        return self.score / self.weight if self.weight else 0.0


class OutcomeTable:
    """Counts outcomes; None for a domain stands for requests of which nobody knows what they are about."""

    def __init__(self) -> None:
        self._cells: dict[tuple[UpstreamId, str | None], Cell] = {}
        self._totals: dict[UpstreamId, int] = {}

    def learn(self, upstream: UpstreamId, domain: str | None, score: float, weight: float = 1.0) -> None:
        """Take an outcome: `score` 0..1, `weight` one over the chance that it was looked at."""
        place = (upstream, domain)
        cell = self._cells.pop(place, None) or Cell()
        self._cells[place] = cell
        cell.weight += weight
        cell.score += weight * score
        cell.count += 1
        self._totals[upstream] = self._totals.get(upstream, 0) + 1
        if len(self._cells) > MAX_CELLS:
            self.forget(*next(iter(self._cells)))

    def count(self, upstream: UpstreamId) -> int:
        """Return how many outcomes an upstream has."""
        return self._totals.get(upstream, 0)

    def count_in(self, upstream: UpstreamId, domain: str | None) -> int:
        """Return how many of them are in a domain."""
        cell = self._cells.get((upstream, domain))
        return 0 if cell is None else cell.count

    def cells(self) -> Iterator[tuple[UpstreamId, str | None, Cell]]:
        """Return all of them, by upstream and domain."""
        for upstream, domain in sorted(self._cells, key=lambda place: (place[0], place[1] or "")):
            yield upstream, domain, self._cells[upstream, domain]

    def forget(self, upstream: UpstreamId | None = None, domain: str | None = None) -> int:
        """Forget outcomes of an upstream, in a domain; None: in any. Return of how many."""
        gone = [
            place
            for place in self._cells
            if (upstream is None or place[0] == upstream) and (domain is None or place[1] == domain)
        ]
        count = sum(self._cells.pop(place).count for place in gone)
        self._add_up()
        return count

    def _add_up(self) -> None:
        self._totals = {}
        for (upstream, _), cell in self._cells.items():
            self._totals[upstream] = self._totals.get(upstream, 0) + cell.count

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what `restore` takes, as arrays that can be saved."""
        places = list(self._cells)
        cells = [self._cells[place] for place in places]
        return {
            "upstreams": np.array([upstream for upstream, _ in places], np.str_),
            "domains": np.array([domain or "" for _, domain in places], np.str_),
            "has_domain": np.array([domain is not None for _, domain in places], np.bool_),
            "sums": np.array([(each.weight, each.score, each.count) for each in cells]).reshape(-1, 3),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state over; raises ValueError or KeyError for one that is none."""
        sums = np.asarray(state["sums"], np.float64)
        names, domains, known = state["upstreams"].tolist(), state["domains"].tolist(), state["has_domain"].tolist()
        if sums.shape != (len(names), 3) or not len(names) == len(domains) == len(known):
            raise ValueError("the columns of the table have different lengths")
        if not np.isfinite(sums).all() or (sums < 0).any():
            raise ValueError("the table has sums that cannot be")
        self._cells = {
            (UpstreamId(name), domain if is_known else None): Cell(weight, score, int(count))
            for name, domain, is_known, (weight, score, count) in zip(names, domains, known, sums.tolist(), strict=True)
        }
        self._add_up()
