"""What is known of a request when it is over."""

from collections.abc import Sequence

from streamroute.clock import now
from streamroute.core.observation import AttemptObservation, RequestObservation
from streamroute.core.outcome import OutcomeKind
from streamroute.core.routing.decision import Decision
from streamroute.core.routing.decision_log import traits
from streamroute.engine.call import Call
from streamroute.engine.runner import Runner

_REPLACEABLE = frozenset({"first", "failover"})
"""Causes of calls whose failure another call makes good; one made beside them fails without consequence."""


def request_ended(
    call: Call, decision: Decision, runner: Runner, failures: Sequence[AttemptObservation]
) -> RequestObservation:
    """Return the observation of a request; `failures` are its attempts that failed, in order."""
    summary = runner.summary
    outcome: OutcomeKind = "succeeded" if summary.is_finished else "failed" if summary.fail else "cancelled"
    head = summary.head
    replaced = [
        each.failure.kind
        for each in failures
        if each.failure is not None and not each.is_committed and each.cause in _REPLACEABLE
    ]
    broken = [each.failure.kind for each in failures if each.failure is not None and each.is_committed]
    return RequestObservation(
        request_id=call.request_id,
        ledger_id=call.ledger_id,
        attribution=call.attribution,
        route=decision.route.name,
        stream=call.chat.stream,
        outcome=outcome,
        failure=summary.fail.failure.without_quotes() if summary.fail is not None else None,
        attempts=runner.attempts,
        failovers=tuple(replaced if head is not None else replaced[:-1]),
        rescued=tuple(broken[: len(summary.continuations)]),
        latency_class=decision.latency_class,
        continuations=tuple(summary.continuations),
        upstream=None if head is None else head.upstream,
        provider=None if head is None else head.provider,
        model=None if head is None else head.model,
        route_s=runner.route_s,
        ttft_s=None if head is None else head.ttft_s,
        duration_s=now() - call.arrived_at,
        usage=summary.usage,
        traits=traits(decision, None if head is None else head.upstream, call.requirements.domain),
    )
