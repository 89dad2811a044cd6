"""What a request needs, beside what it asks: the measure that upstreams are held against.

It is said in headers, in the body, by the key and by the route; of each field, the first of these that says anything is
right.
"""

from dataclasses import dataclass, fields

from streamroute.core.money import Money
from streamroute.core.upstream import LatencyClass, PolicyName


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
    policy: PolicyName | None = None
    """What counts where several meet all that."""

    def over(self, others: "Requirements | None") -> "Requirements":
        """Return these, and of fields of which they say nothing what `others` say."""
        if others is None or others is NO_REQUIREMENTS or self == others:
            return self
        if self is NO_REQUIREMENTS:
            return others
        mine = {name: getattr(self, name) for name in _NAMES}
        return Requirements(**{name: getattr(others, name) if mine[name] is None else mine[name] for name in _NAMES})

    @property
    def are_limits(self) -> bool:
        """Whether any of them can rule an upstream out."""
        return not (
            self.min_quality is None
            and self.max_cost is None
            and self.max_ttft_s is None
            and self.max_total_s is None
            and self.residency is None
        )


_NAMES = tuple(each.name for each in fields(Requirements))
NO_REQUIREMENTS = Requirements()
