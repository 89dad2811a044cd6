"""What every route with tiers has learned of its small models, and what audits of any route came to, while the process
lives; a listener for the bus.

A judge's word is held against what people and audits say of the same answer later, so that it comes to mean something.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from streamroute.core.cost.charge import EXPECTED_OUTPUT_TOKENS
from streamroute.core.cost.day_amount import DayAmount
from streamroute.core.gate import AuditOptions
from streamroute.core.health.attempt_budget import attempt_cost_usd
from streamroute.core.money import Money
from streamroute.core.observation import Observation
from streamroute.core.quality.judge import EXPECTED
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.request import ChatRequest
from streamroute.core.routing.analysis import GENERAL
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.decision_log import traits
from streamroute.core.routing.learned.ascent import EXPLORE_SHARE, Ascent
from streamroute.core.routing.learned.domain_drift import STRANGE_WORDS
from streamroute.core.routing.learned.domain_guard import Trust
from streamroute.core.routing.learned.exploration import AuditBudget
from streamroute.core.routing.learned.fitted_policy import FittedPolicy
from streamroute.core.routing.learned.gate_figures import GateFigures
from streamroute.core.routing.learned.gatekeeper import MAX_DOMAINS, OTHERS, Gatekeeper
from streamroute.core.routing.learned.policy_walk import PolicyWalk
from streamroute.core.routing.tiers import begun_at
from streamroute.core.upstream import Route, Upstream, UpstreamId
from streamroute.engine.call import Call
from streamroute.engine.policy_gate import begins_at, begun
from streamroute.wire.openai_chat.question import read_question

_log = structlog.get_logger(__name__)

JUDGED = "judged"
"""What audits say of answers that only the judge could compare."""
_SPENT = "spent"
"""The name of the day and what audits have spent in it, in a saved state: a restart brings no new money."""
_POLICY = "policy"
"""The name of the digest of the route's policy, there."""
MAX_JUDGEMENTS = 1_000
"""Words of judges that are remembered until somebody says what they were worth."""

NO_JUDGEMENT_TOLD_S = 60.0
"""Seconds between two lines about answers of a judge that are no judgement: a wrong judge gives many."""


@dataclass(slots=True)
class RouteGate:
    """What is known of one route."""

    keeper: Gatekeeper
    policy: str = ""
    """Digest of the fitted policy whose answers were looked into; "": the route went by none."""
    draws: AuditBudget = field(default_factory=AuditBudget)
    """Of an auction's audits."""
    ascents: dict[str, Ascent] = field(default_factory=dict)
    audits: Counter[str] = field(default_factory=Counter)
    """By result: `agrees`, `differs`, `judged`, `unclear`, `no_judgement`, `failed`, `no_money`, `dropped`."""
    money: DayAmount = field(default_factory=DayAmount)
    """For audits; the same whatever policy the route goes by."""
    no_judgements: int = 0
    """Answers of the judge that were no judgement, in audits and beside requests."""
    _told_at: float = -inf
    """When that was logged last."""

    def no_judgement(self, route: Route, at: float) -> None:
        """Count an answer of the route's judge that was none, and log that once a minute at most. `at`: monotonic
        seconds."""
        self.no_judgements += 1
        if at - self._told_at >= NO_JUDGEMENT_TOLD_S:
            self._told_at = at
            _log.warning(
                "judge.no_judgement", route=route.name, judge=route.judge, so_far=self.no_judgements, expected=EXPECTED
            )

    def ascent(self, domain: str) -> Ascent:
        """Return what is accepted in a domain."""
        known = domain if domain in self.ascents or len(self.ascents) < MAX_DOMAINS else OTHERS
        return self.ascents.setdefault(known, Ascent())


class Gates:
    """Those of all routes."""

    def __init__(self) -> None:
        self.policies: Mapping[str, FittedPolicy] = {}
        """By route, of those that go by a fitted one."""
        self._routes: dict[str, RouteGate] = {}
        self._judgements: dict[tuple[str, UpstreamId], tuple[str, float]] = {}

    def of(self, route: Route) -> RouteGate:
        """Return what is known of a route."""
        options, policy = route.audit or AuditOptions(), self.policies.get(route.name)
        digest = "" if policy is None else policy.digest
        gate = self._routes.get(route.name)
        if gate is None or gate.policy != digest:  # what was found of other answers says nothing of these
            keeper = Gatekeeper(options) if policy is None else _keeper(options, policy)
            new = RouteGate(keeper, digest)
            gate = self._routes[route.name] = new if gate is None else replace(gate, keeper=keeper, policy=digest)
        gate.keeper.apply(options)
        gate.draws.share = options.share
        return gate

    def begun(
        self,
        decision: Decision,
        call: Call,
        uniform: Callable[[], float],
        upstreams: Mapping[UpstreamId, Upstream],
        *,
        affords: Callable[[Upstream], bool],
        is_asked: bool = True,
    ) -> tuple[Decision, PolicyWalk | None]:
        """Return the decision without small tiers that are not worth asking, or must not be trusted now; and what a
        fitted policy knows of the request, where there is one. `affords`: there is money for a call to an upstream;
        `is_asked`: it will be done, so its words count."""
        if decision.next_tier is None:
            return decision, None
        try:
            tiers, route = decision.tiers, decision.route
            policy = self.policies.get(route.name)
            gate, domain = self.of(route), domain_of(decision, call)
            walk = None
            if policy is not None:
                walk = PolicyWalk(policy, read_question(call.chat.payload).text, _about(policy, decision, call, domain))
                if route.audit is not None and _has_changed(gate, route, domain, walk if is_asked else None):
                    walk.is_of_another_kind()
            guard = None if route.audit is None else gate.keeper.guard(domain)
            if guard is not None and guard.trust is Trust.WITHDRAWN:
                if begins_at(tiers[-1], affords) and uniform() >= guard.look_share:
                    why = f"answers to {_requests(domain)} have lost quality to them"
                    return _skipping(decision, len(tiers) - 1, why), None
                if policy is None:
                    return decision, None
            if walk is not None:
                return begun(walk, decision, guard, affords), walk
            position = next_tier(gate, decision, domain, call.chat, upstreams)
            if not position or not begins_at(tiers[position], affords) or uniform() < EXPLORE_SHARE:
                return decision, None
            return _skipping(decision, position, f"too few of their answers to {_requests(domain)} are accepted"), None
        except Exception:  # noqa: BLE001 - a request is decided without what was learned, rather than not at all
            _log.exception("gate.broke", route=decision.route.name)
            return decision, None

    def judged_by_model(self, call: Call, route: Route, upstream: UpstreamId, raw: float) -> None:
        """Remember a judge's word on an answer of `upstream`."""
        if call.decision_id is None:
            return
        self._judgements[call.decision_id, upstream] = (route.name, raw)
        if len(self._judgements) > MAX_JUDGEMENTS:
            del self._judgements[next(iter(self._judgements))]

    def __call__(self, observation: Observation) -> None:
        """Hear an observation."""
        if not isinstance(observation, QualityOutcome) or observation.source == "assessor":
            return
        if observation.label == JUDGED:  # by the judge itself
            return
        word = self._judgements.pop((observation.decision_id, observation.upstream), None)
        if word is not None and word[0] in self._routes:
            self._routes[word[0]].keeper.judged(word[1], observation.score)

    def figures(self) -> list[GateFigures]:
        """Return how they stand."""
        return [
            GateFigures(
                route=name,
                domains=gate.keeper.figures(),
                looks=gate.keeper.looks,
                audits=dict(gate.audits),
                spent=gate.money.spent,
            )
            for name, gate in self._routes.items()
        ]

    @property
    def version(self) -> int:
        """Grows with whatever is learned."""
        return sum(gate.keeper.version + gate.money.version for gate in self._routes.values())

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what `restore` takes, as arrays that can be saved."""
        return {
            f"{route}/{name}": array
            for route, gate in self._routes.items()
            for name, array in {
                **gate.keeper.state(),
                _SPENT: np.array([gate.money.day, gate.money.spent_today]),
                _POLICY: np.array(gate.policy.encode()),
            }.items()
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state over; of the routes in it what was learned since is lost. ValueError, KeyError or
        IndexError: it is of another shape, and then all is as it was."""
        found: dict[str, Gatekeeper] = {}
        for route in {name.rpartition("/")[0] for name in state}:
            policy = self.policies.get(route)
            found[route] = Gatekeeper(AuditOptions()) if policy is None else _keeper(AuditOptions(), policy)
            own = {name.rpartition("/")[2]: each for name, each in state.items() if name.rpartition("/")[0] == route}
            found[route].restore({name: each for name, each in own.items() if name not in {_SPENT, _POLICY}})
        gates: dict[str, RouteGate] = {}
        for route, keeper in found.items():
            day, today = (int(each) for each in state.get(f"{route}/{_SPENT}", (0, 0)))
            digest = bytes(state.get(f"{route}/{_POLICY}", np.array(b"")).item()).decode()
            gates[route] = RouteGate(keeper, digest, money=DayAmount(day, Money(today)))
        self._routes |= gates


def _has_changed(gate: RouteGate, route: Route, domain: str, walk: PolicyWalk | None) -> bool:
    """Return whether a domain has become another one since the policy was fitted; log the question that shows it.
    `walk`: of a question that is asked; None: it is only explained."""
    had_changed = gate.keeper.has_changed(domain)
    if walk is None or not gate.keeper.asked(domain, walk.unknown_share):
        return had_changed
    if not had_changed:
        _log.warning("gate.domain_changed", route=route.name, domain=domain, policy=walk.fitted.name, why=STRANGE_WORDS)
    return True


def _keeper(options: AuditOptions, policy: FittedPolicy) -> Gatekeeper:
    return Gatekeeper(options, policy.usual_words, policy.attempt_cost)


def _about(policy: FittedPolicy, decision: Decision, call: Call, domain: str) -> str:
    """Return the domain that a policy goes by: one that it was fitted on, or that was said. What is only a guess, or a
    task, and is none of its own, is as good as none."""
    if domain in policy.seen_domains:
        return domain
    matched = decision.matched
    if matched is None:
        return call.requirements.domain or ""
    return (matched.features.domain or "") if matched.features.domain_source == "stated" else ""


def domain_of(decision: Decision, call: Call) -> str:
    """Return what a request is about, as the gate tells requests apart: the domain that was said or found, else its
    task; "" where it was not read and has none."""
    domain, matched = traits(decision, None, call.requirements.domain).domain, decision.matched
    if domain == GENERAL and matched is not None and matched.analysis.domain_source == "classified":
        return call.attribution.task or GENERAL  # nothing was found
    return domain or call.attribution.task or ""


def next_tier(
    gate: RouteGate,
    decision: Decision,
    domain: str,
    chat: ChatRequest,
    upstreams: Mapping[UpstreamId, Upstream],
    first: int = 0,
) -> int:
    """Return which of the decision's tiers, from `first` on, is best asked next. `upstreams` are all that there are."""
    route, rest = decision.route, decision.tiers[first:]
    if len(rest) < 2:
        return first
    leads = [tier.candidates[0].upstream for tier in rest]
    costs = [_expected_usd(each, chat) for each in leads]
    for position, lead in enumerate(leads[:-1]):  # what is asked about their answers is part of their price
        assessors = route.assessors(lead.id)
        asked = [route.agree_with if "agreement" in assessors else None, route.judge if "judge" in assessors else None]
        known = [upstreams[name] for name in asked if name is not None and name in upstreams]
        costs[position] += sum(_expected_usd(each, chat) for each in known[:1])
    places = [route.tier_of(each.id) for each in leads]
    return first + gate.ascent(domain).best(places, costs)


def _expected_usd(upstream: Upstream, chat: ChatRequest) -> float:
    output = chat.longest_output_tokens or EXPECTED_OUTPUT_TOKENS
    return attempt_cost_usd(upstream, chat.prompt_tokens, min(output, EXPECTED_OUTPUT_TOKENS))


def _requests(domain: str) -> str:
    return f"{domain} requests" if domain else "requests"


def _skipping(decision: Decision, position: int, why: str) -> Decision:
    names = ", ".join(each.upstream.id for tier in decision.tiers[:position] for each in tier.candidates)
    return begun_at(decision, position, f"skips smaller tiers ({names}): {why}")
