"""The last decisions, and no more of them than fit."""

from streamroute.core.routing.decision import Candidate, Decision
from streamroute.core.routing.decision_log import MAX_CALLS, DecisionLog, Made, NotMade
from streamroute.core.upstream import Deadlines, Route, UpstreamId
from tests.support.observations import attempt, upstream

DECISION = Decision(
    route=Route(name="chat", upstreams=(UpstreamId("a"),)), candidates=(Candidate(upstream=upstream("a")),)
)


def test_only_the_newest_are_kept() -> None:
    """Memory is bounded: the oldest goes first, and what comes of it later is dropped."""
    log = DecisionLog(size=3)
    for i in range(5):
        log.add(f"d{i}", DECISION, at=float(i))
    log.called("d1", Made(attempt(), Deadlines()))
    assert [(record.id, record.at) for record in log.latest(10)] == [("d4", 4.0), ("d3", 3.0), ("d2", 2.0)]
    assert [record.id for record in log.latest(2)] == ["d4", "d3"]
    assert len(log) == 3
    assert log.get("d1") is None


def test_calls_are_kept_in_order() -> None:
    """As they end, or are not made; of a request that makes endlessly many, the first."""
    log = DecisionLog()
    log.add("d", DECISION, at=0.0)
    refused = NotMade(UpstreamId("b"), "hedge", "the budget is spent")
    log.called("d", refused)
    for i in range(1, MAX_CALLS + 5):
        log.called("d", Made(attempt(attempt=i), Deadlines()))
    record = log.get("d")
    assert record is not None
    assert record.calls[0] == refused
    made = [each for each in record.calls if isinstance(each, Made)]
    assert [each.observation.attempt for each in made] == list(range(1, MAX_CALLS))
