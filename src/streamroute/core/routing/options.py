"""How upstreams are matched to requests: the settings of `[routing]`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from streamroute.core.routing.rules import Rule
from streamroute.core.upstream import LatencyClass, PolicyName

RoutingMode = Literal["rules", "learned", "hybrid"]
"""`rules`: rules and the qualities of the configuration; `learned`: what was learned alone, no rules; `hybrid`: both.
Then rules are hard constraints, and configured qualities what is believed until enough was learned."""

ANSWER_VALUE_USD: Mapping[PolicyName, float] = MappingProxyType({"quality": 1.0, "balanced": 0.02, "economy": 0.002})
"""What a right answer is worth, by policy. On recorded outcomes of tiers at $0.05 to $0.8 a thousand requests the whole
saving at equal quality is had at about 0.017 (60 points of quality a dollar, pool A2 of docs/concepts/routing.md):
`balanced`. Fifty times that buys every point of quality that those tiers sell; a tenth of it gives points away."""
SECOND_COSTS: Mapping[LatencyClass, float] = MappingProxyType(
    {"batch": 0.0, "standard": 0.002, "interactive": 0.01, "latency_critical": 0.05}
)
"""Points of quality (0..1) that a second of waiting counts for, by latency class: nobody waits for a batch; a person
gives up one answer of a hundred to have all others a second sooner; where every second counts, five."""
DOUBTS: Mapping[PolicyName, float] = MappingProxyType({"quality": 1.0, "balanced": 0.5, "economy": 0.0})
"""Standard errors that are taken off an estimate of quality: the more an answer is worth, the less is risked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingOptions:
    """See `docs/reference/config.md`."""

    mode: RoutingMode = "hybrid"
    auto: tuple[str, ...] = ()
    """Whom `model = "auto"` chooses among; empty: every upstream."""
    answer_value_usd: Mapping[PolicyName, float] = field(default_factory=lambda: ANSWER_VALUE_USD)
    """Above 0."""
    rules: tuple[Rule, ...] = ()
