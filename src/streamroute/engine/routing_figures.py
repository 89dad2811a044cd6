"""Counts what routing comes to since the start, for `/status`: a listener for the bus."""

from collections.abc import Callable, Mapping, Sequence

from streamroute.core.cost.price import Price
from streamroute.core.money import Money
from streamroute.core.observation import AttemptObservation, Observation, QualityObservation, RequestObservation
from streamroute.core.outcome import CROSS_CHECKS
from streamroute.core.quality.reliability import Reliability
from streamroute.core.routing.decision_log import DecisionLog, DecisionRecord, Made
from streamroute.core.routing.figures import Group, GroupFigures, RoutingFigures, large_model
from streamroute.core.upstream import TokenPrice, Upstream, UpstreamId

MAX_GROUPS = 500
"""Clients make names of tasks and domains up; requests of further groups are counted without them."""


class RoutingCounter:
    """Counts requests, costs and judgements by group."""

    def __init__(self, decisions: DecisionLog, upstreams: Callable[[], Mapping[UpstreamId, Upstream]]) -> None:
        """`upstreams` are those of now, with the prices of now."""
        self._decisions = decisions
        self._upstreams = upstreams
        self._prices: dict[UpstreamId, tuple[TokenPrice, Price]] = {}
        """Compiled: to do that for each request takes as long as all the rest here."""
        self.figures = RoutingFigures()

    def __call__(self, observation: Observation) -> None:
        """Hear an observation."""
        if isinstance(observation, RequestObservation):
            self._request(observation)
        elif isinstance(observation, AttemptObservation):
            self._late(observation)
        elif isinstance(observation, QualityObservation):
            self._judged(observation)

    def _request(self, observation: RequestObservation) -> None:
        traits = observation.traits
        figures = self._of(Group(observation.route, traits.tier, traits.domain, observation.attribution.task))
        figures.requests += 1
        record = self._decisions.get(observation.ledger_id)
        if record is None:
            return
        made = [each.observation for each in record.calls if isinstance(each, Made)]
        for each in made:
            _pay(figures, each)
        answer = _answer(made, record.answered_by)
        if answer is None or answer.charged is None:
            return
        price = self._large_price(record)
        if price is None:
            figures.baseline_unknown += 1
        else:
            figures.baseline = Money(figures.baseline + price.cost(answer.charged.usage, answer.images))

    def _late(self, observation: AttemptObservation) -> None:
        """Count a call that ended after its request, as audits do: the others were counted with it."""
        record = self._decisions.get(observation.ledger_id)
        if record is None:
            if observation.cause == "audit":
                _pay(self._of(Group(observation.route, None, None, observation.attribution.task)), observation)
        elif record.outcome is not None:
            traits = record.traits(record.answered_by)
            _pay(self._of(Group(observation.route, traits.tier, traits.domain, record.attribution.task)), observation)

    def _judged(self, observation: QualityObservation) -> None:
        outcome, traits = observation.outcome, observation.traits
        weight = 1.0 / outcome.propensity
        figures = self._of(Group(observation.route, traits.tier, traits.domain, observation.attribution.task))
        figures.judged(outcome.source, 1, weight, weight * outcome.score)
        if traits.predicted is not None:
            table = self.figures.reliability.setdefault(outcome.source, Reliability())
            table.add(traits.predicted, outcome.score, weight)

    def _of(self, group: Group) -> GroupFigures:
        if group not in self.figures.groups and len(self.figures.groups) >= MAX_GROUPS:
            group = Group("other", None, None, None)
        return self.figures.of(group)

    def _large_price(self, record: DecisionRecord) -> Price | None:
        name = large_model(record.decision.route, self._upstreams())
        upstream = None if name is None else self._upstreams().get(name)
        if upstream is None or upstream.price is None:
            return None
        known = self._prices.get(upstream.id)
        if known is None or known[0] is not upstream.price:
            known = self._prices[upstream.id] = (upstream.price, Price.of(upstream.price))
        return known[1]


def _pay(figures: GroupFigures, made: AttemptObservation) -> None:
    if made.charged is not None and made.charged.cost is not None:
        figures.paid(made.cause, made.charged.cost)
    else:
        figures.unpriced_calls += 1


def _answer(made: Sequence[AttemptObservation], began: UpstreamId | None) -> AttemptObservation | None:
    """Return the call whose answer the client got, of those that `began` it, or else the one that carried it on."""
    whole = [each for each in reversed(made) if each.outcome == "succeeded" and each.cause not in CROSS_CHECKS]
    own = next((each for each in whole if each.upstream == began), None)
    return own or next((each for each in whole if each.is_committed), None)
