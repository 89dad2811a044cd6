"""What hedges may cost, as the engine keeps it: the product's own budget, asked at each start and told at each end."""

from streamroute.core.execution.commands import Start
from streamroute.core.health.attempt_budget import AttemptBudget, HedgeSpend, attempt_cost_usd
from streamroute.core.health.classify import disposition
from streamroute.core.observation import AttemptObservation
from streamroute.core.upstream import LatencyClass, Upstream

EXPECTED_OUTPUT_TOKENS = 150
"""Of an answer that has not come yet."""


class Purse:
    """Gives leave for hedges, and keeps the accounts of all calls."""

    def __init__(self) -> None:
        self._budget = AttemptBudget()
        self._in_flight = 0

    def may_start(self, start: Start, class_: LatencyClass, prompt_tokens: int, now: float) -> bool:
        """Return whether the money allows a call."""
        if start.cause not in {"hedge", "race"}:
            return True
        cost_usd = attempt_cost_usd(start.upstream, prompt_tokens, EXPECTED_OUTPUT_TOKENS)
        return self._budget.may_hedge(class_, cost_usd, now, self._in_flight, start.upstream.id)

    def started(self, start: Start, class_: LatencyClass, prompt_tokens: int, now: float) -> HedgeSpend | None:
        """Count a call that begins; what is returned goes to `ended`."""
        self._in_flight += 1
        if start.cause not in {"hedge", "race"}:
            return None
        cost_usd = attempt_cost_usd(start.upstream, prompt_tokens, EXPECTED_OUTPUT_TOKENS)
        return self._budget.hedge_started(class_, cost_usd, now)

    def ended(
        self, upstream: Upstream, observation: AttemptObservation, class_: LatencyClass, spend: HedgeSpend | None
    ) -> None:
        """Count a call that is over."""
        self._in_flight -= 1
        now, failure = observation.ended_at, observation.failure
        is_billed = observation.http_status in {None, 200} and observation.connect_s is not None
        inputs, outputs = (observation.prompt_tokens, observation.content_events) if is_billed else (0, 0)
        cost_usd = attempt_cost_usd(upstream, inputs, outputs)
        is_failure = failure is not None and disposition(failure.kind).counts
        if spend is not None:
            self._budget.hedge_ended(spend, now, cost_usd=cost_usd, is_failure=is_failure)
        self._budget.spent(class_, cost_usd, now)
        if is_failure or observation.outcome == "succeeded":
            self._budget.ended(upstream.id, is_success=not is_failure)
