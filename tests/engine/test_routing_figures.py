"""What routing comes to since the start: counted from observations and the decisions that are kept."""

from decimal import Decimal

import pytest

from streamroute.core.attribution import Attribution
from streamroute.core.money import Money, usd_text
from streamroute.core.observation import Charged, QualityObservation, Traits
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.routing.decision_log import DecisionLog, Made
from streamroute.core.routing.figures import Group, group_document
from streamroute.core.upstream import Deadlines, TokenPrice, UpstreamId
from streamroute.core.usage import Usage
from streamroute.engine import routing_figures
from streamroute.engine.routing_figures import RoutingCounter
from tests.support.observations import attempt, request, upstream
from tests.support.steering import board, decided

PRICES = {
    "a": TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(2)),
    "b": TokenPrice(input_per_mtok=Decimal(10), output_per_mtok=Decimal(20)),
}
USAGE = Usage(input_tokens=100, output_tokens=10)


class World:
    """Requests on one route of a cheap and a dear upstream."""

    def __init__(self) -> None:
        self.upstreams = {
            UpstreamId(name): upstream(name, provider=name, price=price) for name, price in PRICES.items()
        }
        self.decisions = DecisionLog()
        self.counter = RoutingCounter(self.decisions, lambda: self.upstreams)

    def served(self, id_: str, *calls: tuple[str, Money | None], task: str | None = None) -> None:
        """Serve a request by these calls; the last one answers."""
        decision = decided(board(), upstreams=list(self.upstreams.values()))
        self.decisions.add(id_, decision, 0.0)
        for name, cost in calls:
            is_last = name == calls[-1][0]
            made = attempt(
                self.upstreams[UpstreamId(name)], ledger_id=id_, outcome="succeeded" if is_last else "cancelled"
            ).with_charge(Charged(usage=USAGE, is_counted=True, cost=cost, price_source=None))
            self.decisions.called(id_, Made(made, Deadlines()))
        answered_by = UpstreamId(calls[-1][0]) if calls else None
        self.decisions.ended(id_, "succeeded", answered_by)
        self.counter(request(ledger_id=id_, upstream=answered_by, attribution=Attribution(task=task)))


def test_costs_are_of_all_calls_and_savings_of_the_answer() -> None:
    """Against the dear one at its price of now; a call of unknown price is counted as that."""
    world = World()
    world.served("r1", ("b", Money(7)), ("a", Money(5)), task="mail")
    world.served("r2", ("a", None))
    world.served("r3")
    of_mail = world.counter.figures.groups[Group("chat", None, None, "mail")]
    answer = 100 * 10 * 10**6 + 10 * 20 * 10**6
    assert (of_mail.requests, of_mail.cost, of_mail.baseline, of_mail.unpriced_calls) == (1, 12, answer, 0)
    of_none = world.counter.figures.groups[Group("chat", None, None, None)]
    assert (of_none.requests, of_none.cost, of_none.baseline, of_none.unpriced_calls) == (2, 0, answer, 1)
    dearer = TokenPrice(input_per_mtok=Decimal(20), output_per_mtok=Decimal(40))
    world.upstreams[UpstreamId("b")] = upstream("b", provider="b", price=dearer)
    world.served("r4", ("a", Money(5)), task="mail")
    assert of_mail.baseline == 3 * answer


def test_audits_are_told_apart_and_no_saving() -> None:
    """They end after their request, and count to the tier of who answered it; one whose request is forgotten counts
    all the same. No answer of theirs, nor of another cross-check, is the client's."""
    world = World()
    world.served("r1", ("a", Money(5)))
    for id_, cost in (("r1", Money(11)), ("gone", Money(2))):
        audit = attempt(world.upstreams[UpstreamId("b")], ledger_id=id_, cause="audit")
        world.counter(audit.with_charge(Charged(usage=USAGE, is_counted=True, cost=cost, price_source=None)))
    world.counter(attempt(world.upstreams[UpstreamId("b")], ledger_id="gone", cause="probe"))
    found = world.counter.figures.total
    answer = 100 * 10 * 10**6 + 10 * 20 * 10**6
    assert (found.requests, found.cost, found.audits, found.unpriced_calls) == (1, 5, 13, 0)
    assert (found.baseline, group_document(found, 1)["saved_usd"]) == (answer, usd_text(Money(answer - 18)))


def test_an_answer_that_was_carried_on_has_a_baseline() -> None:
    """Of who carried it on, as on the ledger."""
    world = World()
    decision = decided(board(), upstreams=list(world.upstreams.values()))
    world.decisions.add("r1", decision, 0.0)
    for name, outcome, cause in (
        ("a", "failed", "first"),
        ("b", "succeeded", "agreement"),
        ("b", "succeeded", "continuation"),
    ):
        made = attempt(
            world.upstreams[UpstreamId(name)],
            ledger_id="r1",
            outcome=outcome,
            cause=cause,
            is_committed=cause != "agreement",
        )
        charged = Charged(usage=USAGE, is_counted=True, cost=Money(1), price_source=None)
        world.decisions.called("r1", Made(made.with_charge(charged), Deadlines()))
    world.decisions.ended("r1", "succeeded", UpstreamId("a"))
    world.counter(request(ledger_id="r1", upstream=UpstreamId("a")))
    assert world.counter.figures.total.baseline == 100 * 10 * 10**6 + 10 * 20 * 10**6
    assert world.counter.figures.total.cost == 3


def test_judgements_are_weighted_and_compared_with_predictions() -> None:
    """By source; without a prediction there is nothing to compare."""
    world = World()
    outcome = QualityOutcome(decision_id="r1", upstream=UpstreamId("a"), score=0.5, source="audit", propensity=0.25)
    world.counter(QualityObservation(outcome=outcome, route="chat", traits=Traits(tier=0, predicted=0.75)))
    world.counter(QualityObservation(outcome=outcome, route="chat", traits=Traits(tier=0)))
    judged = world.counter.figures.groups[Group("chat", 0, None, None)].quality["audit"]
    assert (judged.count, judged.weight, judged.mean) == (2, 8.0, 0.5)
    assert world.counter.figures.reliability["audit"].error == pytest.approx(0.25)
    assert sum(each.count for each in world.counter.figures.reliability["audit"].bins) == 1


def test_names_that_clients_make_up_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of further groups are counted together; none is lost."""
    monkeypatch.setattr(routing_figures, "MAX_GROUPS", 10)
    world = World()
    for i in range(30):
        world.served(f"r{i}", ("a", Money(1)), task=f"t{i}")
    assert len(world.counter.figures.groups) == 11
    assert world.counter.figures.total.requests == 30
    assert world.counter.figures.total.cost == 30
