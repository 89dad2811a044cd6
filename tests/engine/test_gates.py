"""What outlives requests of what gates know: judges' words until somebody says what they were worth, and the state."""

from dataclasses import replace
from decimal import Decimal

import pytest

from streamroute.core.gate import AuditOptions
from streamroute.core.money import money
from streamroute.core.quality.quality_outcome import QualityOutcome, QualitySource
from streamroute.core.request import ChatRequest
from streamroute.core.upstream import Route, UpstreamId
from streamroute.engine.call import Call
from streamroute.engine.gates import JUDGED, MAX_JUDGEMENTS, Gates

SMALL, LARGE = UpstreamId("small"), UpstreamId("large")
ROUTE = Route(name="chat", upstreams=(SMALL, LARGE), tiers=((SMALL,), (LARGE,)), audit=AuditOptions())
CHAT = ChatRequest(wire_format="openai_chat", payload={}, model="chat")


def call(id_: str) -> Call:
    return Call(request_id="r", chat=CHAT, arrived_at=0.0, decision_id=id_)


def outcome(id_: str, score: float, source: QualitySource, label: str | None = None) -> QualityOutcome:
    return QualityOutcome(decision_id=id_, upstream=SMALL, score=score, source=source, label=label)


@pytest.mark.parametrize("source", ["feedback", "audit"])
def test_a_judge_s_word_is_held_against_what_others_say(source: QualitySource) -> None:
    """Once for each answer; what the judge or the answer says of itself is no news."""
    gates = Gates()
    keeper = gates.of(ROUTE).keeper
    for i in range(25):
        gates.judged_by_model(call(f"d{i}"), ROUTE, SMALL, 0.8)
        gates(outcome(f"d{i}", 1.0, "assessor"))
        gates(outcome(f"d{i}", 1.0, "audit", JUDGED))
        gates(replace(outcome(f"d{i}", 1.0, source), upstream=LARGE))
        gates(outcome(f"d{i}", 0.4, source))
        gates(outcome(f"d{i}", 1.0, source))
    assert keeper.calibrated(0.8) == pytest.approx(0.4)
    assert keeper.version == 25


def test_words_are_not_remembered_for_ever() -> None:
    """Most answers are never judged by anybody else."""
    gates = Gates()
    for i in range(2 * MAX_JUDGEMENTS):
        gates.judged_by_model(call(f"d{i}"), ROUTE, SMALL, 0.8)
    assert len(gates._judgements) == MAX_JUDGEMENTS
    gates(outcome("d0", 0.4, "feedback"))
    assert gates.of(ROUTE).keeper.version == 0


def test_a_reload_changes_how_much_is_looked_into() -> None:
    """And nothing of what is known."""
    gates = Gates()
    guard = gates.of(ROUTE).keeper.guard("law")
    guard.looks = 200
    assert gates.of(replace(ROUTE, audit=AuditOptions(max_loss=0.1, share=0.3))).keeper.guard("law") is guard
    assert (guard.options.most_loss, guard.options.settled_audit_share) == (0.1, 0.3)


def test_a_state_of_another_shape_changes_nothing() -> None:
    """It is put aside by whoever read it."""
    gates = Gates()
    gates.of(ROUTE).keeper.guard("law").looks = 7
    state = dict(gates.state())
    again = Gates()
    again.restore(state)
    assert again.of(ROUTE).keeper.guard("law").looks == 7
    with pytest.raises(ValueError, match="a saved domain has"):
        again.restore({**state, "chat/guards": state["chat/guards"][:, :5]})
    assert again.of(ROUTE).keeper.guard("law").looks == 7


def test_a_restart_brings_no_new_money_for_audits() -> None:
    """What was spent today stays spent; a state of before that was kept begins with nothing."""
    gates, again = Gates(), Gates()
    gate = gates.of(ROUTE)
    gate.money.day, gate.money.spent_today = 20_000, money(Decimal("0.75"))
    state = dict(gates.state())
    again.restore(state)
    assert (again.of(ROUTE).money.day, again.of(ROUTE).money.spent_today) == (20_000, money(Decimal("0.75")))
    del state["chat/spent"]
    again.restore(state)
    assert again.of(ROUTE).money.spent_today == 0
