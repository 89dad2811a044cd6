"""What routing comes to: how many requests each tier, domain and task has, what they cost, how good their answers are,
what all of it would have cost on the large model, and whether predictions of quality came true.

The same figures are counted in memory since the start (`/status`) and added up from the ledger (`streamroute routing
report`), by one rule. Costs are of all calls of a request that its client's answer was got by, losers, rejected answers
and cross-checks included; what audits of it cost is told apart, and is paid like the rest, so that savings are less it.
A request and its audits belong to the tier of who answered it; a judgement to the tier of who was judged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from streamroute.core.money import NOTHING, Money, usd_text
from streamroute.core.quality.reliability import Reliability
from streamroute.core.upstream import Route, Upstream, UpstreamId

Dimension = Literal["route", "tier", "domain", "task"]
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)


class Group(NamedTuple):
    """What figures are kept by."""

    route: str | None
    tier: int | None
    """0 for the smallest models, as in the ledger; people read `tier_number`."""
    domain: str | None
    task: str | None


@dataclass(slots=True, kw_only=True)
class Judgements:
    """Of one source; weights are inverse chances of being judged."""

    count: int = 0
    weight: float = 0.0
    score: float = 0.0
    """Sum, weighted."""

    @property
    def mean(self) -> float | None:
        """0..1; None where there are none."""
        return self.score / self.weight if self.weight else None


@dataclass(slots=True, kw_only=True)
class GroupFigures:
    """Sums of one group."""

    requests: int = 0
    cost: Money = NOTHING
    """Of calls whose price is known, audits left out."""
    audits: Money = NOTHING
    """The same of audits."""
    unpriced_calls: int = 0
    baseline: Money = NOTHING
    """What the answers would have cost on the route's large model."""
    baseline_unknown: int = 0
    """Answers that nobody knows that of."""
    quality: dict[str, Judgements] = field(default_factory=dict)
    """By source."""

    def paid(self, cause: str, cost: Money) -> None:
        """Add what calls have cost."""
        if cause == "audit":
            self.audits = Money(self.audits + cost)
        else:
            self.cost = Money(self.cost + cost)

    def judged(self, source: str, count: int, weight: float, score: float) -> None:
        """Count judgements; `score` is their weighted sum."""
        found = self.quality.setdefault(source, Judgements())
        found.count += count
        found.weight += weight
        found.score += score

    def add(self, more: "GroupFigures") -> None:
        """Add another group's."""
        self.requests += more.requests
        self.cost = Money(self.cost + more.cost)
        self.audits = Money(self.audits + more.audits)
        self.unpriced_calls += more.unpriced_calls
        self.baseline = Money(self.baseline + more.baseline)
        self.baseline_unknown += more.baseline_unknown
        for source, judged in more.quality.items():
            self.judged(source, judged.count, judged.weight, judged.score)


@dataclass(slots=True)
class RoutingFigures:
    """All of them."""

    groups: dict[Group, GroupFigures] = field(default_factory=dict)
    reliability: dict[str, Reliability] = field(default_factory=dict)
    """By source."""

    def of(self, group: Group) -> GroupFigures:
        """Return the figures of a group, to add to."""
        return self.groups.setdefault(group, GroupFigures())

    def by(self, dimensions: Sequence[Dimension]) -> dict[tuple[str | int | None, ...], GroupFigures]:
        """Return sums by some dimensions, the most requests first."""
        return summed(self.groups.items(), dimensions)

    @property
    def total(self) -> GroupFigures:
        """The sum of all."""
        return self.by(())[()] if self.groups else GroupFigures()


def summed(
    groups: Iterable[tuple[Group, GroupFigures]], dimensions: Sequence[Dimension]
) -> dict[tuple[str | int | None, ...], GroupFigures]:
    """Add groups up that are the same in `dimensions`; the most requests first."""
    found: dict[tuple[str | int | None, ...], GroupFigures] = {}
    for group, figures in groups:
        key = tuple(getattr(group, name) for name in dimensions)
        found.setdefault(key, GroupFigures()).add(figures)
    return dict(sorted(found.items(), key=lambda item: -item[1].requests))


def figures_document(figures: RoutingFigures) -> dict[str, object]:
    """Return everything as plain values; money is text, in US dollars."""
    total = figures.total
    return {
        "total": group_document(total, total.requests),
        **{
            f"by_{name}": [
                {name: shown(name, key[0]), **group_document(each, total.requests)}
                for key, each in figures.by((name,)).items()
            ]
            for name in DIMENSIONS
        },
        "calibration": {source: reliability_document(each) for source, each in figures.reliability.items()},
    }


def tier_number(tier: int) -> int:
    """Return how people number a tier that is counted from 0: from 1, as in the configuration."""
    return tier + 1


def shown(dimension: Dimension, value: str | int | None) -> str | int | None:
    """Return a value of a group as people read it."""
    return tier_number(value) if dimension == "tier" and isinstance(value, int) else value


def group_document(figures: GroupFigures, of: int) -> dict[str, object]:
    """Return one group's figures; `of` is the number of all requests."""
    saved = figures.baseline - figures.cost - figures.audits
    is_known = figures.baseline > 0 and not figures.baseline_unknown and not figures.unpriced_calls
    return {
        "requests": figures.requests,
        "share": round(figures.requests / of, 4) if of else None,
        "cost_usd": usd_text(figures.cost),
        "audits_usd": usd_text(figures.audits),
        "unpriced_calls": figures.unpriced_calls,
        "baseline_usd": usd_text(figures.baseline),
        "baseline_unknown": figures.baseline_unknown,
        "saved_usd": usd_text(saved) if is_known else None,
        "saved_percent": round(100 * saved / figures.baseline, 2) if is_known else None,
        "quality": {source: _judgements(each) for source, each in sorted(figures.quality.items())},
    }


def reliability_document(reliability: Reliability) -> dict[str, object]:
    """Return the table: bins that have judgements."""
    error = reliability.error
    return {
        "expected_calibration_error": None if error is None else round(error, 4),
        "bins": [
            {
                "from": place / len(reliability.bins),
                "to": (place + 1) / len(reliability.bins),
                "count": each.count,
                "predicted": round(each.predicted / each.weight, 4),
                "observed": round(each.observed / each.weight, 4),
            }
            for place, each in enumerate(reliability.bins)
            if each.weight
        ],
    }


def _judgements(judged: Judgements) -> Mapping[str, object]:
    return {"count": judged.count, "mean": None if judged.mean is None else round(judged.mean, 4)}


def large_model(route: Route, upstreams: Mapping[UpstreamId, Upstream]) -> UpstreamId | None:
    """Return whom a route's savings are measured against: the first of its last tier, else the dearest whose price is
    known; None where there is none."""
    if route.tiers:
        return route.tiers[-1][0]
    priced = [(upstreams[name].price, name) for name in route.upstreams if name in upstreams]
    known = [(price.rough_output, price.rough_input, name) for price, name in priced if price is not None]
    return max(known)[2] if known else None
