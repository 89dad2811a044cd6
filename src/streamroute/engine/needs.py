"""What a call needs, worked out once: requirements of client and route, the analysis, the rules that apply.

Where nothing asks for it, nothing is read or worked out: a plain request on a plain route is decided as before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from streamroute.core.cost.bill import Bill
from streamroute.core.cost.cap import Cap
from streamroute.core.money import Money
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import Requirements
from streamroute.core.routing.analysis import TERMS, DomainClassifier, analyse
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.matching import ConfiguredQualities, MergedQualities, QualityEstimates, Wanted
from streamroute.core.routing.options import RoutingOptions
from streamroute.core.routing.tiers import decide_tiers
from streamroute.core.upstream import Route, Upstream
from streamroute.engine.call import Call
from streamroute.engine.choice import Choice
from streamroute.wire.openai_chat.question import read_question


def cap_of(decision: Decision, bill: Bill) -> Cap | None:
    """Return what the calls of a request may cost at most, all together; None where nobody has said."""
    limit = None if decision.matched is None else decision.matched.requirements.max_cost
    return None if limit is None else Cap(limit, bill)


class DecideTier(Protocol):
    """`core.routing.steering.decide` with all but these."""

    def __call__(self, route: Route, upstreams: Sequence[Upstream], *, wanted: Wanted | None) -> Decision:
        """Decide for one tier."""


def matched_tiers(chat: ChatRequest, choice: Choice, wanted: Wanted | None, decide: DecideTier) -> Decision:
    """Decide for all tiers. A floor of quality holds for the last one: answers of those before it are judged, each by
    itself, which tells more than what is known of their upstream."""
    route = choice.route
    everywhere = partial(decide, wanted=wanted)
    if wanted is None or wanted.requirements.min_quality is None or not route.tiers:
        return decide_tiers(chat, route, choice.upstreams, everywhere)
    lenient = replace(wanted, requirements=replace(wanted.requirements, min_quality=None))

    def decide_one(tier: Route, upstreams: Sequence[Upstream]) -> Decision:
        is_judged = tier.upstreams != route.tiers[-1]
        return decide(tier, upstreams, wanted=lenient if is_judged else wanted)

    decision = decide_tiers(chat, route, choice.upstreams, decide_one)
    if decision.next_tier is None:  # nobody judges its answers now
        return decide_tiers(chat, route, choice.upstreams, everywhere)
    return decision


@dataclass(slots=True, kw_only=True)
class Needs:
    """Says what calls are matched by."""

    options: RoutingOptions = field(default_factory=RoutingOptions)
    required: Mapping[str, Requirements] = field(default_factory=dict)
    """Of routes, for requests that say nothing else."""
    classifier: DomainClassifier = TERMS
    learned: QualityEstimates | None = None
    """None: nothing is learned."""

    def apply(self, options: RoutingOptions, required: Mapping[str, Requirements]) -> None:
        """Go by another configuration; what was learned stays."""
        self.options = options
        self.required = required

    @property
    def qualities(self) -> QualityEstimates:
        """Where estimates of quality come from, by the mode."""
        configured = ConfiguredQualities()
        if self.learned is None or self.options.mode == "rules":
            return configured
        return self.learned if self.options.mode == "learned" else MergedQualities(configured, self.learned)

    def of(
        self, call: Call, route: Route, upstreams: Sequence[Upstream], most: Callable[[Upstream], Money | None]
    ) -> Wanted | None:
        """Return what a call on a route is matched by; None where nothing asks for that. `most` is what a call may
        cost at most."""
        needs = call.requirements.over(self.required.get(route.name))
        is_auction = route.steering == "auction"
        if not (is_auction or needs.are_limits or any(each.domains for each in upstreams)):
            return None
        policy = needs.policy or route.policy or ("balanced" if needs.min_quality is None else "economy")
        return Wanted(
            requirements=needs,
            analysis=analyse(read_question(call.chat.payload), domain=needs.domain, classifier=self.classifier),
            qualities=self.qualities,
            most=most,
            policy=policy,
            answer_value_usd=self.options.answer_value_usd[policy],
        )
