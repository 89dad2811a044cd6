"""What a request needs, beside what it asks: the measure that upstreams are held against."""

from dataclasses import dataclass

from streamroute.core.money import Money
from streamroute.core.upstream import LatencyClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """All that was said; None: nothing was."""

    min_quality: float | None = None
    """The probability, 0..1, that the answer is right or good enough, as far as that is known of an upstream."""
    max_cost: Money | None = None
    """Of the whole request, all calls together."""
    max_ttft_s: float | None = None
    max_total_s: float | None = None
    domain: str | None = None
    """What it is about, where the client knows: a name that upstreams and rules speak of."""
    task: str | None = None
    """What it is for; see `core.attribution`."""
    latency_class: LatencyClass | None = None
    residency: str | None = None
    """A region's name: only upstreams that are known to stay in it."""


NO_REQUIREMENTS = Requirements()
