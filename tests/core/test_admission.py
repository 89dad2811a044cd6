"""May this call be made, and what it has cost: the board's permit and the budgets, taken and given back together."""

from decimal import Decimal

import pytest

from streamroute.core.cost.charge import EXPECTED_OUTPUT_TOKENS
from streamroute.core.execution.admission import Admission, Leave, call_cost_usd
from streamroute.core.execution.commands import Start
from streamroute.core.execution.events import AttemptId
from streamroute.core.health.attempt_budget import AttemptBudget
from streamroute.core.health.board import HealthBoard
from streamroute.core.health.breaker import OPEN_S
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import AttemptCause, Failure
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.upstream import Capabilities, LatencyClass, TokenPrice, Upstream
from streamroute.core.usage import Usage
from tests.support.observations import attempt, failed_attempt, upstream

PRICE = TokenPrice(input_per_mtok=Decimal(2), output_per_mtok=Decimal(10))
A, B = (upstream(name, credential=name, price=PRICE) for name in "ab")
EXTRA: tuple[AttemptCause, ...] = ("failover", "continuation", "hedge", "race")


class Desk:
    """An admission with its board and budgets."""

    def __init__(self) -> None:
        self.board = HealthBoard(lambda: 0.5)
        self.budget = AttemptBudget()
        self.admission = Admission(self.board, self.budget)

    def ask(
        self,
        who: Upstream = A,
        cause: AttemptCause = "first",
        at: float = 1.0,
        *,
        of: LatencyClass = "interactive",
        tokens: int = 500,
        is_last_resort: bool = False,
    ) -> Leave | Failure:
        start = Start(AttemptId(1), who, is_last_resort, cause)
        return self.admission.admit(start, at, latency_class=of, prompt_tokens=tokens, is_stream=True, in_flight=10)

    def leave(self, who: Upstream = A, cause: AttemptCause = "first", at: float = 1.0) -> Leave:
        leave = self.ask(who, cause, at, is_last_resort=True)
        assert isinstance(leave, Leave), leave
        return leave

    def exhaust(self, who: Upstream = A, at: float = 1.0) -> None:
        """Let calls fail until no token is left."""
        for _ in range(12):
            self.admission.settle(self.leave(who, at=at), failed_attempt("overloaded", who, ended_at=at))

    @property
    def hedged_usd(self) -> float:
        return self.budget.figures(2.0).hedge_spent_usd


@pytest.mark.parametrize("cause", EXTRA)
def test_calls_that_are_extra_need_tokens(cause: AttemptCause) -> None:
    """Where all fails they are refused, first calls and probes never."""
    desk = Desk()
    desk.exhaust()
    refused = desk.ask(cause=cause, is_last_resort=True)
    assert isinstance(refused, Failure)
    assert (refused.kind, refused.retry_after_s) == ("blocked", None)
    assert isinstance(desk.ask(is_last_resort=True), Leave)
    assert isinstance(desk.ask(cause="probe", at=1.0 + 2 * OPEN_S), Leave)


def test_failures_of_one_keep_nobody_from_another() -> None:
    """A failover to an upstream that nothing is held against is always made; a hedge is not, it is only comfort."""
    desk = Desk()
    desk.exhaust(A)
    assert isinstance(desk.ask(B, "failover"), Leave)
    assert isinstance(desk.ask(B, "hedge"), Failure)


def test_an_open_breaker_refuses_and_names_no_time() -> None:
    """Nobody can say when it will be well. As a last resort it is asked."""
    desk = Desk()
    for _ in range(3):
        desk.admission.settle(desk.leave(), failed_attempt("server_error", A, ended_at=1.0))
    refused = desk.ask()
    assert isinstance(refused, Failure)
    assert (refused.kind, refused.retry_after_s) == ("blocked", None)
    assert isinstance(desk.ask(is_last_resort=True), Leave)


def test_a_rate_limit_refuses_and_says_for_how_long() -> None:
    """Also a last resort: the provider has asked for it."""
    desk = Desk()
    desk.admission.settle(desk.leave(), failed_attempt("rate_limited", A, ended_at=1.0, retry_after_s=10.0))
    refused = desk.ask(at=4.0, is_last_resort=True)
    assert isinstance(refused, Failure)
    assert refused.retry_after_s == pytest.approx(8.0)  # 10 s and a tenth of jitter, less the 3 that have passed


def test_a_report_is_heeded_from_the_headers_on() -> None:
    """The next call knows that nothing is left, while the answer still streams."""
    desk = Desk()
    leave = desk.leave()
    told = RateLimitReport(limit_requests=10, remaining_requests=0, reset_requests_s=9.0)
    desk.admission.reported(leave, told, 1.2)
    refused = desk.ask(at=1.3)
    assert isinstance(refused, Failure)
    assert refused.retry_after_s == pytest.approx(8.9)


@pytest.mark.parametrize("cause", ["hedge", "race"])
def test_a_call_beside_is_charged_at_once_and_corrected_at_its_end(cause: AttemptCause) -> None:
    """What it is expected to cost is reserved; what it has cost replaces that, and not twice."""
    desk = Desk()
    leave = desk.leave(cause=cause)
    assert desk.hedged_usd == pytest.approx(500 * 2 / 1e6)
    lost = attempt(A, outcome="cancelled", ended_at=1.5, prompt_tokens=500, content_events=100)
    desk.admission.settle(leave, lost)
    assert desk.hedged_usd == pytest.approx((500 * 2 + 100 * 10) / 1e6)
    assert desk.budget.figures(2.0).hedges_in_flight == 0


def test_a_hedge_that_wins_is_charged_as_expected() -> None:
    """Its answer is what was asked for; extra is the loser's prompt, whatever the answer has cost."""
    desk = Desk()
    won = attempt(B, ended_at=1.5, is_committed=True, usage=Usage(input_tokens=500, output_tokens=900))
    desk.admission.settle(desk.leave(B, cause="hedge"), won)
    assert desk.hedged_usd == pytest.approx(500 * 2 / 1e6)
    assert desk.budget.figures(2.0).spent_usd == pytest.approx((500 * 2 + 900 * 10) / 1e6)


@pytest.mark.parametrize("cause", ["hedge", "race"])
def test_a_call_beside_counts_as_such_until_its_first_token(cause: AttemptCause) -> None:
    """From then on it is the answer, however long that is: others who wait may be hedged."""
    desk = Desk()
    leave = desk.leave(cause=cause)
    desk.admission.connected(leave, 1.1)
    assert desk.budget.figures(1.1).hedges_in_flight == 1
    desk.admission.first_token(leave, 1.2)
    assert desk.budget.figures(1.2).hedges_in_flight == 0
    desk.admission.settle(leave, attempt(A, ended_at=1.5))
    assert desk.budget.figures(1.5).hedges_in_flight == 0


def test_a_hedge_that_fails_is_charged_twice_and_one_that_wins_once() -> None:
    """It was load where there was trouble; one that brought the answer and broke off later was worth it."""
    used = Usage(input_tokens=500, output_tokens=0)
    failed, won = Desk(), Desk()
    failed.admission.settle(failed.leave(cause="hedge"), failed_attempt("reset", A, ended_at=1.5, usage=used))
    won.admission.settle(
        won.leave(cause="hedge"), failed_attempt("reset", A, ended_at=1.5, usage=used, is_committed=True)
    )
    assert failed.hedged_usd == pytest.approx(2 * won.hedged_usd)


def test_a_call_that_was_never_made_costs_nothing() -> None:
    """Permit, reservation and place go back."""
    desk = Desk()
    leave = desk.leave(cause="hedge")
    desk.admission.give_back(leave, 1.1)
    figures = desk.budget.figures(2.0)
    assert (figures.hedge_spent_usd, figures.hedges_in_flight, figures.spent_usd) == (0.0, 0, 0.0)
    assert desk.board.health(A.id, 2.0).in_flight == 0


def test_batch_is_not_hedged() -> None:
    """It has time."""
    assert isinstance(Desk().ask(cause="hedge", of="batch"), Failure)


@pytest.mark.parametrize(
    "observation",
    [
        attempt(A, outcome="cancelled", ended_at=1.5),
        failed_attempt("client_error", A, ended_at=1.5),
        failed_attempt("rate_limited", A, ended_at=1.5),
        failed_attempt("auth_failed", A, ended_at=1.5),
    ],
    ids=["cancelled", "client_error", "rate_limited", "auth_failed"],
)
def test_what_says_nothing_of_the_upstream_moves_no_tokens(observation: AttemptObservation) -> None:
    """Neither of its own nor of all."""
    desk = Desk()
    desk.admission.settle(desk.leave(B), failed_attempt("reset", B, ended_at=1.0))  # so that a success would show
    before = desk.budget.figures(1.0).global_tokens
    desk.admission.settle(desk.leave(), observation)
    assert desk.budget.figures(2.0).global_tokens == before


def test_a_clients_own_limit_moves_no_tokens() -> None:
    """Impatience is no failure of the upstream."""
    desk = Desk()
    desk.admission.settle(desk.leave(B), failed_attempt("reset", B, ended_at=1.0))
    before = desk.budget.figures(1.0).global_tokens
    impatient = Failure(kind="first_token_timeout", message="x", is_clients_limit=True)
    desk.admission.settle(desk.leave(), attempt(A, outcome="failed", failure=impatient, ended_at=1.1, duration_s=0.1))
    assert desk.budget.figures(2.0).global_tokens == before


def test_the_board_hears_what_happens_on_the_way() -> None:
    """Connection and first token, as they come."""
    desk = Desk()
    leave = desk.leave()
    desk.admission.connected(leave, 1.1)
    desk.admission.first_token(leave, 1.5)
    assert desk.board.health(A.id, 1.5).baseline.count == 1


@pytest.mark.parametrize(
    ("bills_cancelled", "observation", "tokens"),
    [
        (None, attempt(A, usage=Usage(input_tokens=7, output_tokens=3)), (7, 3)),
        (None, failed_attempt("server_error", A, prompt_tokens=500), (0, 0)),
        (None, failed_attempt("reset", A, prompt_tokens=500, content_events=20), (500, 20)),
        (None, attempt(A, outcome="cancelled", prompt_tokens=500, content_events=20), (500, 20)),
        (True, attempt(A, outcome="cancelled", prompt_tokens=500, content_events=20), (500, EXPECTED_OUTPUT_TOKENS)),
        (True, attempt(A, outcome="cancelled", prompt_tokens=500, content_events=900), (500, 900)),
        (None, attempt(A, prompt_tokens=500, content_events=20), (500, 20)),
    ],
)
def test_what_a_call_has_cost(
    bills_cancelled: bool | None, observation: AttemptObservation, tokens: tuple[int, int]
) -> None:
    """By the provider's count where it gave one; else by what was sent and seen."""
    who = upstream(price=PRICE, capabilities=Capabilities(bills_cancelled_streams=bills_cancelled))
    assert call_cost_usd(who, observation) == pytest.approx((tokens[0] * 2 + tokens[1] * 10) / 1e6)
