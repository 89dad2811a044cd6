"""How good each upstream's answers were, domain by domain: counted means that borrow from each other.

An upstream's mean over all domains is what a domain of it is held to have before its own outcomes say otherwise, and
the mean of all upstreams is that for one of which nothing is known (empirical Bayes with a fixed strength; Efron and
Morris, 1975). So an estimate exists from the first outcome on, and says how sure it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamroute.core.upstream import UpstreamId

Floats = NDArray[np.float64]

STRENGTH = 30.0
"""Outcomes that a domain's own are held against: below 30 the general mean counts more (docs/concepts/routing.md)."""
BETWEEN_SD = 0.2
"""By which a model's quality differs from domain to domain: Mathstral is half as good as a generalist of its size in
some, more than twice as good in others. So a domain in which nobody was judged is left to the configuration."""
FIRST_STRENGTH = 4.0
"""Outcomes that the mean of all upstreams counts for, in one of which nothing is known."""
FIRST_MEAN = 0.7
"""Before the first outcome of anybody: about what small and middling models have on recorded outcomes."""
MAX_CELLS = 4096
"""Pairs of upstream and domain: clients may make domains up. The one that was learned longest ago goes."""


@dataclass(slots=True)
class Cell:
    """Outcomes of one upstream in one domain."""

    weight: float = 0.0
    score: float = 0.0
    """Sum, weighted."""
    square: float = 0.0
    """Sum of squared weights: weight^2 / square is how many equal outcomes they are worth (Kish, 1965)."""
    count: int = 0

    def add(self, other: "Cell") -> None:
        """Add another's."""
        self.weight += other.weight
        self.score += other.score
        self.square += other.square
        self.count += other.count

    @property
    def worth(self) -> float:
        """Equal outcomes that these are worth."""
        return self.weight * self.weight / self.square if self.square else 0.0

    @property
    def mean(self) -> float:
        """0..1."""
        return self.score / self.weight if self.weight else FIRST_MEAN


class OutcomeTable:
    """Learns from outcomes; None for a domain stands for requests of which nobody knows what they are about."""

    def __init__(self) -> None:
        self._cells: dict[tuple[UpstreamId, str | None], Cell] = {}
        self._totals: dict[UpstreamId, Cell] = {}
        self._all = Cell()

    def learn(self, upstream: UpstreamId, domain: str | None, score: float, weight: float = 1.0) -> None:
        """Take an outcome: `score` 0..1, `weight` one over the chance that it was looked at."""
        place = (upstream, domain)
        cell = self._cells.pop(place, None) or Cell()
        self._cells[place] = cell
        more = Cell(weight, weight * score, weight * weight, 1)
        for each in (cell, self._totals.setdefault(upstream, Cell()), self._all):
            each.add(more)
        if len(self._cells) > MAX_CELLS:
            self.forget(*next(iter(self._cells)))

    def estimate(self, domain: str | None, upstreams: Sequence[UpstreamId]) -> tuple[Floats, Floats]:
        """Return means (0..1) and their standard errors, in the order of `upstreams`."""
        found = [self._estimate(upstream, domain) for upstream in upstreams]
        return np.array([mean for mean, _ in found]), np.array([sd for _, sd in found])

    def _estimate(self, upstream: UpstreamId, domain: str | None) -> tuple[float, float]:
        first = self._all.mean
        total = self._totals.get(upstream) or Cell()
        general = (total.worth * total.mean + FIRST_STRENGTH * first) / (total.worth + FIRST_STRENGTH)
        cell = self._cells.get((upstream, domain)) or Cell()
        lent = min(STRENGTH, total.worth + FIRST_STRENGTH)
        n = cell.worth + lent
        mean = (cell.worth * cell.mean + lent * general) / n
        # Of a Beta distribution, where both ends keep some doubt; and what is borrowed may be wrong.
        own = max(mean * (1.0 - mean), 0.01) / (n + 1.0)
        return mean, (own + (BETWEEN_SD * lent / n) ** 2) ** 0.5

    def count(self, upstream: UpstreamId) -> int:
        """Return how many outcomes an upstream has."""
        total = self._totals.get(upstream)
        return 0 if total is None else total.count

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
        self._totals, self._all = {}, Cell()
        for (each, _), cell in self._cells.items():
            self._totals.setdefault(each, Cell()).add(cell)
            self._all.add(cell)
        return count

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what `restore` takes, as arrays that can be saved."""
        places = list(self._cells)
        cells = [self._cells[place] for place in places]
        return {
            "upstreams": np.array([upstream for upstream, _ in places], np.str_),
            "domains": np.array([domain or "" for _, domain in places], np.str_),
            "has_domain": np.array([domain is not None for _, domain in places], np.bool_),
            "sums": np.array([(each.weight, each.score, each.square, each.count) for each in cells]).reshape(-1, 4),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state over; raises ValueError or KeyError for one that is none."""
        sums = np.asarray(state["sums"], np.float64)
        names, domains, known = state["upstreams"].tolist(), state["domains"].tolist(), state["has_domain"].tolist()
        if sums.shape != (len(names), 4) or not len(names) == len(domains) == len(known):
            raise ValueError("the columns of the table have different lengths")
        if not np.isfinite(sums).all() or (sums < 0).any():
            raise ValueError("the table has sums that cannot be")
        self._cells = {
            (UpstreamId(name), domain if is_known else None): Cell(weight, score, square, int(count))
            for name, domain, is_known, (weight, score, square, count) in zip(
                names, domains, known, sums.tolist(), strict=True
            )
        }
        self.forget(UpstreamId(""))  # nobody is called that: adds up what there is
