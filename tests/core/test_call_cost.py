"""What calls cost, and what of it the budgets are charged."""

from decimal import Decimal
from typing import Any

import pytest

from streamroute.core.cost.charge import EXPECTED_OUTPUT_TOKENS, charge
from streamroute.core.execution.admission import Admission, Leave, call_cost_usd
from streamroute.core.execution.commands import Start
from streamroute.core.execution.events import AttemptId
from streamroute.core.health.attempt_budget import TOKENS, AttemptBudget
from streamroute.core.health.board import HealthBoard
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import AttemptCause
from streamroute.core.upstream import Capabilities, TokenPrice, Upstream
from streamroute.core.usage import Usage
from tests.support.observations import attempt, failed_attempt, upstream

PRICE = TokenPrice(input_per_mtok=Decimal(1), output_per_mtok=Decimal(10))
FAIR = upstream("fair", price=PRICE, capabilities=Capabilities(bills_cancelled_streams=False))
UNKNOWN = upstream("unknown", price=PRICE)
BILLS_ON = upstream("bills-on", price=PRICE, capabilities=Capabilities(bills_cancelled_streams=True))
WHOLE_USD = (100 + 10 * EXPECTED_OUTPUT_TOKENS) / 1e6


def lost(of: Upstream, **more: Any) -> AttemptObservation:
    values = {"connect_s": 0.01, "prompt_tokens": 100, "content_events": 3, "ended_at": 2.0, **more}
    return attempt(of, outcome="cancelled", cancel_reason="lost", **values)


@pytest.mark.parametrize(
    ("observation", "of", "usd"),
    [
        (lost(FAIR), FAIR, (100 + 30) / 1e6),
        (lost(UNKNOWN), UNKNOWN, (100 + 30) / 1e6),
        (lost(BILLS_ON), BILLS_ON, WHOLE_USD),
        (lost(BILLS_ON, max_output_tokens=20), BILLS_ON, (100 + 200) / 1e6),
        (lost(BILLS_ON, content_events=900), BILLS_ON, (100 + 9000) / 1e6),
        (lost(BILLS_ON, connect_s=None, content_events=0), BILLS_ON, 0.0),
        (lost(BILLS_ON, usage=Usage(input_tokens=90, output_tokens=5), is_whole=True), BILLS_ON, (90 + 50) / 1e6),
        (lost(BILLS_ON, usage=Usage(input_tokens=90, output_tokens=5)), BILLS_ON, (WHOLE_USD - 10 / 1e6)),
        (lost(BILLS_ON, usage=Usage(input_tokens=90, output_tokens=900)), BILLS_ON, (90 + 9000) / 1e6),
        (lost(FAIR, usage=Usage(input_tokens=90, output_tokens=5)), FAIR, (90 + 50) / 1e6),
        (failed_attempt("server_error", FAIR, connect_s=0.01, prompt_tokens=100), FAIR, 0.0),
        (failed_attempt("reset", BILLS_ON, connect_s=0.01, prompt_tokens=100, content_events=3), BILLS_ON, 130e-6),
        (failed_attempt("first_token_timeout", FAIR, connect_s=0.01, prompt_tokens=100), FAIR, 100e-6),
        (failed_attempt("first_token_timeout", BILLS_ON, connect_s=0.01, prompt_tokens=100), BILLS_ON, WHOLE_USD),
        (failed_attempt("stall", BILLS_ON, connect_s=0.01, prompt_tokens=100, content_events=3), BILLS_ON, WHOLE_USD),
        (failed_attempt("connect_timeout", BILLS_ON, prompt_tokens=100), BILLS_ON, 0.0),
    ],
)
def test_what_a_call_costs(observation: AttemptObservation, of: Upstream, usd: float) -> None:
    """The provider's count of a whole answer, else what was seen of it. Whoever is cut off by us is paid for the prompt
    and what it had produced, or for a whole answer where that does not stop the bill; who was never reached, and who
    refused, nothing.
    """
    assert call_cost_usd(of, observation) == pytest.approx(usd)


@pytest.mark.parametrize("cause", ["hedge", "race"])
@pytest.mark.parametrize(("of", "usd"), [(FAIR, 130e-6), (BILLS_ON, WHOLE_USD)])
def test_a_loser_is_charged_what_it_costs(cause: AttemptCause, of: Upstream, usd: float) -> None:
    """In the budget of calls beside the first one: a whole answer where a cancel does not stop the bill."""
    budget = AttemptBudget()
    admission = Admission(HealthBoard(lambda: 0.0), budget)
    start = Start(AttemptId(2), of, cause=cause)
    leave = admission.admit(start, 1.0, latency_class="interactive", prompt_tokens=100, is_stream=True, in_flight=1)
    assert isinstance(leave, Leave)
    reserved = WHOLE_USD if of is BILLS_ON else 100e-6
    assert budget.figures(1.0).hedge_spent_usd == pytest.approx(reserved)
    admission.settle(leave, lost(of))
    assert budget.figures(2.0).hedge_spent_usd == pytest.approx(usd)
    assert budget.figures(2.0).spent_usd == pytest.approx(usd)


def test_trouble_of_our_own_uses_up_no_tokens() -> None:
    """Where nobody can be reached, the failures are nobody's: afterwards requests can move on from one that is down."""
    budget = AttemptBudget()
    admission = Admission(HealthBoard(lambda: 0.0), budget)
    apart = [upstream(name, provider=name, credential=name) for name in "ab"]

    def refused(of: Upstream, now: float) -> None:
        start = Start(AttemptId(1), of, is_last_resort=True)
        leave = admission.admit(start, now, latency_class="interactive", prompt_tokens=9, is_stream=True, in_flight=1)
        assert isinstance(leave, Leave)
        admission.settle(leave, failed_attempt("connect_error", of, ended_at=now + 0.01, duration_s=0.01))

    for i in range(20):
        for of in apart:
            refused(of, 1.0 + 0.1 * i)
    assert budget.figures(4.0).global_tokens == TOKENS - 1, "the first one could not be told from an outage"
    assert budget.may_retry(apart[1].id)
    for i in range(12):
        refused(apart[0], 40.0 + i)
    assert not budget.may_retry(apart[0].id)


def test_a_whole_answer_that_nobody_counted_is_not_free() -> None:
    """Some servers send no usage: its size says what it was about, or a budget would never be used up."""
    whole = attempt(upstream("a"), stream=False, usage=None, prompt_tokens=100, content_events=0, received_bytes=800)
    found = charge(whole, Capabilities())
    assert found is not None
    assert (found.usage.input_tokens, found.usage.output_tokens, found.is_counted) == (100, 200, False)


def test_usage_that_was_told_early_does_not_hide_what_came_after_it() -> None:
    """A provider may count at the beginning; a client that always leaves before the end must not read for nothing."""
    left = attempt(
        upstream("a"),
        outcome="cancelled",
        cancel_reason="client_gone",
        usage=Usage(input_tokens=25, output_tokens=0),
        content_events=900,
    )
    found = charge(left, Capabilities())
    assert found is not None
    assert (found.usage.input_tokens, found.usage.output_tokens, found.is_counted) == (25, 900, False)
    whole = attempt(upstream("a"), usage=Usage(input_tokens=25, output_tokens=800), content_events=900)
    counted = charge(whole, Capabilities())
    assert counted is not None
    assert (counted.usage.output_tokens, counted.is_counted) == (800, True), "who has answered knows the count"
