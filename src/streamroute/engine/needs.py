"""What a call needs, worked out once: requirements of client and route, the analysis, the rules that apply.

Where nothing asks for it, nothing is read or worked out: a plain request on a plain route is decided as before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Protocol

import structlog

from streamroute.core.caller import Caller
from streamroute.core.cost.bill import Bill
from streamroute.core.cost.cap import Cap
from streamroute.core.money import Money
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import Requirements
from streamroute.core.routing.analysis import GENERAL, TERMS, Analysis, DomainClassifier, analyse
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.domains import spoken_of
from streamroute.core.routing.matching import ConfiguredQualities, MergedQualities, QualityEstimates, Wanted
from streamroute.core.routing.options import RoutingOptions
from streamroute.core.routing.route import Catalog
from streamroute.core.routing.rules import NOTHING_SAID, Facts, Rule, Then, matches, tightened, together
from streamroute.core.routing.tiers import decide_tiers
from streamroute.core.upstream import LatencyClass, Route, Upstream
from streamroute.engine.call import Call
from streamroute.engine.choice import Choice, check_region
from streamroute.engine.learning import Learning
from streamroute.wire.openai_chat.question import read_question

_log = structlog.get_logger(__name__)


def cap_of(decision: Decision, bill: Bill) -> Cap | None:
    """Return what the calls of a request may cost at most, all together; None where nobody has said."""
    limit = None if decision.matched is None else decision.matched.requirements.max_cost
    return None if limit is None else Cap(limit, bill)


def analysed(chat: ChatRequest, domain: str | None, classifier: DomainClassifier) -> Analysis:
    """Read what a request asks; `domain` is what was said of it."""
    question = read_question(chat.payload)
    try:
        return analyse(question, domain=domain, classifier=classifier)
    except Exception:
        if classifier is TERMS:
            raise
        _log.exception("routing.learning_broke")
        return analyse(question, domain=domain)


class DecideTier(Protocol):
    """`core.routing.steering.decide` with all but these."""

    def __call__(self, route: Route, upstreams: Sequence[Upstream], *, wanted: Wanted | None) -> Decision:
        """Decide for one tier."""


def matched_tiers(chat: ChatRequest, choice: Choice, wanted: Wanted | None, decide: DecideTier) -> Decision:
    """Decide for all tiers. A floor of quality holds for the last one: answers of those before it are judged, each by
    itself, which tells more than what is known of their upstream."""
    route = choice.route
    everywhere = partial(decide, wanted=wanted)
    if wanted is None or wanted.requirements.floor is None or not route.tiers:
        return decide_tiers(chat, route, choice.upstreams, everywhere)
    lenient = replace(wanted, requirements=replace(wanted.requirements, min_quality=None))

    def decide_one(tier: Route, upstreams: Sequence[Upstream]) -> Decision:
        is_judged = tier.upstreams != route.tiers[-1]
        return decide(tier, upstreams, wanted=lenient if is_judged else wanted)

    decision = decide_tiers(chat, route, choice.upstreams, decide_one)
    if decision.next_tier is None:  # nobody judges its answers now
        return decide_tiers(chat, route, choice.upstreams, everywhere)
    return decision


@dataclass(frozen=True, slots=True)
class Settled:
    """What a call is decided by."""

    choice: Choice
    wanted: Wanted | None
    """None: nothing asks for matching."""
    latency_class: LatencyClass | None
    """None: the route's."""

    def forget_text(self) -> None:
        """Drop the text of the question: the request is over."""
        if self.wanted is not None:
            self.wanted.analysis.forget_text()


@dataclass(slots=True, kw_only=True)
class Needs:
    """Says what calls are matched by."""

    options: RoutingOptions = field(default_factory=RoutingOptions)
    required: Mapping[str, Requirements] = field(default_factory=dict)
    """Of routes: what their requests are held to."""
    learnable: frozenset[str] = frozenset()
    """Domains of which examples are learned."""
    fitted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Domains that a route's policy was fitted on, by route."""
    learned: Learning | None = None
    """None: nothing is learned."""
    read: Callable[[ChatRequest, str | None, DomainClassifier], Analysis] = analysed
    """What is known of a request, given the domain that was said; replays read it from their record."""

    def apply(
        self,
        options: RoutingOptions,
        required: Mapping[str, Requirements],
        upstreams: Iterable[Upstream],
        routes: Iterable[Route] = (),
        fitted: Mapping[str, frozenset[str]] = {},
    ) -> None:
        """Go by a configuration; what was learned stays. `fitted`: the domains that the policies of routes were fitted
        on."""
        thresholds = {name for route in routes for name in route.accept_at.by_task}  # of tasks: nobody says those
        self.learnable = spoken_of(upstreams, options.rules).union(thresholds, *fitted.values())
        self.fitted = fitted
        self.options = options
        self.required = required

    @property
    def classifier(self) -> DomainClassifier:
        """What says what a question is about where nobody has."""
        return TERMS if self.learned is None or self.options.mode == "rules" else self.learned.domains

    def remember(self, decision_id: str, settled: "Settled") -> None:
        """Keep what outcomes of a decision will be learned with."""
        if self.learned is not None and settled.wanted is not None:
            try:
                self.learned.remember(decision_id, settled.wanted.analysis)
            except Exception:  # noqa: BLE001 - what comes of it is learned without its words
                _log.exception("routing.learning_broke")

    def heed(self, settled: "Settled", at: float) -> None:
        """Learn from a request whose domain was said, as an example of that domain."""
        wanted = settled.wanted
        if self.learned is None or wanted is None or wanted.analysis.domain_source != "stated":
            return
        if wanted.analysis.domain in self.learnable:
            try:
                self.learned.example(wanted.analysis.words.read(), wanted.analysis.domain, at)
            except Exception:  # noqa: BLE001 - the answer is there, and paid for
                _log.exception("routing.learning_broke")

    @property
    def qualities(self) -> QualityEstimates:
        """Where estimates of quality come from, by the mode."""
        configured = ConfiguredQualities()
        if self.learned is None or self.options.mode == "rules":
            return configured
        return self.learned if self.options.mode == "learned" else MergedQualities(configured, self.learned)

    def settle(
        self,
        call: Call,
        catalog: Catalog,
        choose: Callable[[str, Caller], Choice],
        most: Callable[[Upstream], Money | None],
    ) -> Settled:
        """Say among whom a call may choose, and by what. `choose` resolves a name for a caller, or raises RequestError;
        `most` is what one call may cost at most."""
        choice = choose(call.chat.model, call.caller)
        stated = call.requirements.within(self.required.get(choice.route.name))
        reading = _Reading(partial(self.read, call.chat, stated.domain, self.classifier))
        said, rules = self._said(call, choice.route, reading)
        if said.route is not None and said.route in catalog.routes and said.route != choice.route.name:
            choice = choose(said.route, replace(call.caller, routes=None))
            stated = call.requirements.within(self.required.get(said.route))
            if stated.domain is not None:
                reading = _Reading(partial(self.read, call.chat, stated.domain, self.classifier))
        if said.tier is not None and choice.route.tiers:
            choice = _from_tier(choice, said.tier)
        needs, route = tightened(stated, said) if rules else stated, choice.route
        if said.residency is None:
            floor = self.required.get(route.name)
            check_region(call.requirements, floor, whose=f"the route {route.name!r}", route=route.name)
        class_ = needs.latency_class or call.latency_class
        is_special = any(each.domains for each in choice.upstreams)
        is_matched = route.steering == "auction" or needs.are_limits or rules or is_special
        is_matched = is_matched or (bool(route.tiers) and self._goes_by_domain(route, call, stated.domain))
        if not (is_matched or reading.is_made):
            return Settled(choice, None, class_)
        policy = needs.policy or route.policy or ("balanced" if needs.floor is None else "economy")
        wanted = Wanted(
            requirements=needs,
            analysis=reading.analysis,
            qualities=self.qualities,
            most=most,
            policy=policy,
            answer_value_usd=self.options.answer_value_usd[policy],
            preferred=said.prefer,
            rules=rules,
        )
        return Settled(choice, wanted, class_)

    def _goes_by_domain(self, route: Route, call: Call, stated: str | None) -> bool:
        """Return whether what is asked of answers may depend on what the request is about: guards tell domains apart,
        and so do policies, and thresholds where there is none of the request's task."""
        named, fitted = route.accept_at.by_task, self.fitted.get(route.name, frozenset())
        if fitted and call.requirements.domain is None and (stated or not fitted.isdisjoint(self._domains)):
            return True
        if route.audit is not None or not named:
            return route.audit is not None
        if call.attribution.task in named:
            return False
        return stated in named or not named.keys().isdisjoint((GENERAL, *self._domains))

    @property
    def _domains(self) -> tuple[str, ...]:
        """The names that a domain may be found to have."""
        try:
            return self.classifier.domains
        except Exception:  # noqa: BLE001 - they are told apart by their terms then
            _log.exception("routing.learning_broke")
            return TERMS.domains

    def _said(self, call: Call, route: Route, reading: "_Reading") -> tuple[Then, tuple[Rule, ...]]:
        """Return what rules say of a call, and which."""
        if not self.options.rules or self.options.mode == "learned":
            return NOTHING_SAID, ()
        who = call.attribution
        names = {
            "task": who.task,
            "user": who.user,
            "team": who.team,
            "key": who.key,
            "class": call.latency_class or route.latency_class,
            "route": call.chat.model,
        }
        facts = Facts(names, lambda: reading.analysis)
        found = [rule for rule in self.options.rules if matches(rule, facts)]
        return together([rule.then for rule in found]), tuple(found)


class _Reading:
    """The analysis of one call: made when it is first asked for."""

    def __init__(self, read: Callable[[], Analysis]) -> None:
        self._read = read

    @cached_property
    def analysis(self) -> Analysis:
        return self._read()

    @property
    def is_made(self) -> bool:
        """Whether somebody has asked for it: what was read for rules is kept, also where none applies."""
        return "analysis" in self.__dict__


def _from_tier(choice: Choice, tier: int) -> Choice:
    """Return the choice without the tiers before this one, counted from 1; the last one stays."""
    tiers = choice.route.tiers[min(tier, len(choice.route.tiers)) - 1 :]
    names = tuple(upstream for each in tiers for upstream in each)
    return replace(
        choice,
        route=replace(choice.route, tiers=tiers, upstreams=names),
        upstreams=[each for each in choice.upstreams if each.id in names],
    )
