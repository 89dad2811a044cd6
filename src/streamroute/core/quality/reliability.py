"""Predicted against observed quality: a reliability table, and the expected calibration error over its bins.

Bins are of equal width (Guo et al., ICML 2017, sections 2 and 3), so that tables of several sidecars, and of the
database, add up. Each judgement is weighted by one over the chance that it was made.
"""

from dataclasses import dataclass, field

BINS = 10


@dataclass(slots=True)
class Bin:
    """Judgements of answers whose predicted quality was in one tenth of 0..1."""

    count: int = 0
    weight: float = 0.0
    predicted: float = 0.0
    """Sums, weighted."""
    observed: float = 0.0


def bin_of(predicted: float) -> int:
    """Return the bin of a prediction; 1 belongs to the last."""
    return min(BINS - 1, max(0, int(predicted * BINS)))


@dataclass(slots=True)
class Reliability:
    """The table; by bin, lowest first."""

    bins: list[Bin] = field(default_factory=lambda: [Bin() for _ in range(BINS)])

    def add(self, predicted: float, observed: float, weight: float = 1.0) -> None:
        """Count a judgement."""
        self.add_sums(bin_of(predicted), Bin(1, weight, weight * predicted, weight * observed))

    def add_sums(self, place: int, more: Bin) -> None:
        """Count many of one bin."""
        one = self.bins[place]
        one.count += more.count
        one.weight += more.weight
        one.predicted += more.predicted
        one.observed += more.observed

    @property
    def error(self) -> float | None:
        """The expected calibration error: the gap between the means of a bin, over all of them by weight; None before
        the first judgement."""
        total = sum(each.weight for each in self.bins)
        return sum(abs(each.predicted - each.observed) for each in self.bins) / total if total else None
