"""What a request needs, beside what it asks: the measure that upstreams are held against.

A client says it in headers and in the body; of each field, the first of these that says anything is right. What the key
and the route say beside that is an operator's word: a client may ask for more, never for less.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from streamroute.core.money import Money
from streamroute.core.upstream import LatencyClass, PolicyName


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """All that was said; None: nothing was."""

    min_quality: float | None = None
    """The probability, 0..1, that the answer is right or good enough, as far as that is known of an upstream. 0: any,
    also one that is not known."""
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

    def within(self, floor: "Requirements | None") -> "Requirements":
        """Return these as far as an operator's word allows: of limits the stricter ones, `floor`'s region where it has
        one; what is a choice (domain, task, class, policy) is theirs only where these say nothing."""
        if floor is None or floor is NO_REQUIREMENTS or self == floor:
            return self
        if self is NO_REQUIREMENTS:
            return floor
        return replace(
            self.over(floor),
            min_quality=strictest(max, self.min_quality, floor.min_quality),
            max_cost=strictest(min, self.max_cost, floor.max_cost),
            max_ttft_s=strictest(min, self.max_ttft_s, floor.max_ttft_s),
            max_total_s=strictest(min, self.max_total_s, floor.max_total_s),
            residency=floor.residency or self.residency,
        )

    @property
    def floor(self) -> float | None:
        """The least quality, above 0; None where any will do."""
        return self.min_quality or None

    @property
    def are_limits(self) -> bool:
        """Whether any of them can rule an upstream out."""
        return not (
            self.floor is None
            and self.max_cost is None
            and self.max_ttft_s is None
            and self.max_total_s is None
            and self.residency is None
        )

    @property
    def are_timed(self) -> bool:
        """Whether there is a limit of time."""
        return not (self.max_ttft_s is None and self.max_total_s is None)


def strictest(stricter: Callable[[Any, Any], Any], one: Any, two: Any) -> Any:
    """Return the stricter one of two limits, each of which may not be there (None)."""
    return two if one is None else one if two is None else stricter(one, two)


_NAMES = tuple(each.name for each in fields(Requirements))
NO_REQUIREMENTS = Requirements()
