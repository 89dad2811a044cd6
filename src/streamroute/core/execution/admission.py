"""May this call be made? The board's permit and the budgets of extra calls, asked together and given back together.

    first call       the board's permit
    another one      and retry tokens: of the upstream, and of all
    hedge, race,
    speculation      and a share of the money that is being spent
    probe            the board's permit for probes; three of them bring an upstream back, so no budget is needed

Whoever performs a plan, the engine or a simulation, comes here for every `Start`.
"""

from dataclasses import dataclass, replace

from streamroute.core.cost.charge import EXPECTED_OUTPUT_TOKENS, charge
from streamroute.core.execution.commands import Start
from streamroute.core.health.attempt_budget import AttemptBudget, HedgeSpend, attempt_cost_usd
from streamroute.core.health.board import HealthBoard
from streamroute.core.health.breaker import Permit
from streamroute.core.health.classify import disposition
from streamroute.core.observation import AttemptObservation
from streamroute.core.outcome import Failure
from streamroute.core.rate_limit import RateLimitReport
from streamroute.core.upstream import LatencyClass, Upstream

_NO_PERMIT = Failure(
    kind="blocked", message="not asked: its breaker is open, its rate limit is used up, or an operator has drained it"
)
_NO_TOKENS = Failure(kind="blocked", message="not asked: so much fails that further calls would only be load")
_NO_MONEY = Failure(kind="blocked", message="not asked: the budget for calls beside the first one is spent")


@dataclass(slots=True, eq=False)
class Leave:
    """Leave to make one call; goes back to `Admission` exactly once."""

    permit: Permit
    upstream: Upstream
    latency_class: LatencyClass
    hedge: HedgeSpend | None = None


class Admission:
    """Asks board and budgets. Times are monotonic seconds."""

    def __init__(self, board: HealthBoard, budget: AttemptBudget) -> None:
        self._board = board
        self._budget = budget

    def admit(
        self,
        start: Start,
        now: float,
        *,
        latency_class: LatencyClass,
        prompt_tokens: int,
        is_stream: bool,
        in_flight: int,
    ) -> Leave | Failure:
        """Give leave for a call, or say why not. `in_flight`: requests that are being served."""
        upstream, is_beside = start.upstream, start.cause in {"hedge", "race", "speculation"}
        if start.cause in {"failover", "continuation"} and not self._budget.may_retry(upstream.id):
            return _NO_TOKENS
        cost_usd = self._expected_cost_usd(upstream, prompt_tokens)
        if is_beside and not self._budget.may_hedge(latency_class, cost_usd, now, in_flight, upstream.id):
            return _NO_MONEY
        permit = self._board.admit(
            upstream, now, is_last_resort=start.is_last_resort, prompt_tokens=prompt_tokens, is_stream=is_stream
        )
        if permit is None:
            standing = self._board.standing(upstream, now)
            is_limited = standing.kind == "rate_limited" and standing.until is not None
            return replace(_NO_PERMIT, retry_after_s=max(0.0, (standing.until or now) - now) if is_limited else None)
        hedge = self._budget.hedge_started(latency_class, cost_usd, now) if is_beside else None
        return Leave(permit, upstream, latency_class, hedge)

    def connected(self, leave: Leave, now: float) -> None:
        """Tell the board that the call has its connection."""
        self._board.connected(leave.permit, leave.upstream, now)

    def first_token(self, leave: Leave, now: float) -> None:
        """Tell the board that the upstream has shown its first content."""
        self._board.first_token(leave.permit, leave.upstream, now)
        if leave.hedge is not None:
            self._budget.hedge_decided(leave.hedge)

    def reported(self, leave: Leave, report: RateLimitReport, now: float) -> None:
        """Tell the board how much of its rate limit the credential has left."""
        self._board.reported(leave.upstream, report, now)

    def give_back(self, leave: Leave, now: float) -> None:
        """Take back leave for a call that was never made."""
        self._board.give_back(leave.permit, leave.upstream, now)
        if leave.hedge is not None:
            self._budget.hedge_ended(leave.hedge, now, cost_usd=0.0)

    def settle(self, leave: Leave, observation: AttemptObservation) -> None:
        """Learn from a call that is over: health, tokens, and what it has cost."""
        now, upstream = observation.ended_at, leave.upstream
        self._board.observe(leave.permit, observation)
        failure = observation.failure
        is_failure = failure is not None and disposition(failure.kind).counts and not failure.is_clients_limit
        is_ours = is_failure and now < self._board.local_trouble_until
        if observation.outcome == "succeeded" or (is_failure and not is_ours):
            self._budget.ended(upstream.id, is_success=not is_failure)
        cost_usd = call_cost_usd(upstream, observation)
        self._budget.spent(leave.latency_class, cost_usd, now)
        if leave.hedge is not None:
            is_winner = observation.is_committed
            # A hedge that won is the answer: the extra spend is the loser's prompt, about what was expected of it.
            extra_usd = None if is_winner else cost_usd
            self._budget.hedge_ended(leave.hedge, now, cost_usd=extra_usd, is_failure=is_failure and not is_winner)

    def _expected_cost_usd(self, upstream: Upstream, prompt_tokens: int) -> float:
        """Return what a hedge that loses costs: its prompt, and its answer where cancelling does not stop the bill."""
        output = EXPECTED_OUTPUT_TOKENS if upstream.capabilities.bills_cancelled_streams else 0
        return attempt_cost_usd(upstream, prompt_tokens, output)


def call_cost_usd(upstream: Upstream, observation: AttemptObservation) -> float:
    """Return about what one call has cost; see `core.cost.charge` for what of it is paid for."""
    charged = charge(observation, upstream.capabilities)
    if charged is None:
        return 0.0
    return attempt_cost_usd(upstream, charged.usage.input_tokens, charged.usage.output_tokens)
