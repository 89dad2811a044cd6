"""A decision in words: plain values that can be written as JSON. Nothing of the prompt or the answer is in them.

Durations are seconds; `in_s` counts from the decision.
"""

from collections.abc import Mapping
from dataclasses import asdict
from math import exp, isfinite
from types import MappingProxyType

from streamroute.core.health.board import DRAINED
from streamroute.core.money import usd_text
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.routing.decision import Candidate, Decision
from streamroute.core.routing.decision_log import Judged, Made, NotMade
from streamroute.core.routing.explain_match import explain_match
from streamroute.core.routing.weight import crowd
from streamroute.core.upstream import Deadlines, UpstreamId

NO_DEADLINES: Mapping[UpstreamId, Deadlines] = MappingProxyType({})


def explain(
    decision: Decision,
    at: float,
    *,
    hedge_after_s: float | None = None,
    deadlines: Mapping[UpstreamId, Deadlines] = NO_DEADLINES,
) -> dict[str, object]:
    """Return who was considered, how each stood, and why they stand in this order; `at` is when it was decided.

    `hedge_after_s` is the plan's; `deadlines` are those that candidates would be given, where that is known.

    `share` is the probability of being drawn first, on a balanced route; on others the order decides, and it is None.
    """
    route = decision.route
    total = sum(each.weight for each in decision.candidates) if route.steering == "balanced" else 0.0
    return {
        "route": route.name,
        "steering": route.steering,
        "latency_class": decision.latency_class,
        "plan": decision.plan,
        "is_exploring": decision.is_exploring,
        "is_panic": decision.is_panic,
        "propensity": round(decision.propensity, 6),
        "reasons": list(decision.reasons),
        "hedge_after_s": None if hedge_after_s is None else round(hedge_after_s, 4),
        "deadlines": asdict(route.deadlines),
        "candidates": [
            {**_candidate(each, at, total), "deadlines": _limits(deadlines.get(each.upstream.id))}
            for each in decision.candidates
        ],
        "probe": None if decision.probe is None else _candidate(decision.probe, at, 0.0),
        "rejected": [{"upstream": each.upstream, "reason": each.reason} for each in decision.rejected],
        "matched": None if decision.matched is None else explain_match(decision.matched),
        "accept_at": None if decision.next_tier is None or route.tier_policy else str(route.accept_at),
        "next_tier": None if decision.next_tier is None else explain(decision.next_tier, at, deadlines=deadlines),
    }


def explain_call(call: Made | NotMade | Judged) -> dict[str, object]:
    """Return what came of one call that the plan wanted, or what was thought of its answer."""
    if isinstance(call, Judged):
        return {
            "upstream": call.upstream,
            "cause": "assessment",
            "outcome": "accepted" if call.is_accepted else "rejected",
            "score": round(call.verdict.score, 4),
            "accept_at": call.accept_at,
            "ruled": None if (ruling := call.verdict.ruling) is None else round(ruling.score, 4),
            "reason": None if ruling is None else ruling.reason or None,
            "findings": {
                name: {"score": round(each.score, 4), "reason": each.reason}
                for name, each in call.verdict.findings.items()
            },
        }
    if isinstance(call, NotMade):
        return {"upstream": call.upstream, "cause": call.cause, "outcome": "not_made", "reason": call.reason}
    observation, failure = call.observation, call.observation.failure
    return {
        "attempt": observation.attempt,
        "upstream": observation.upstream,
        "cause": observation.cause,
        "rung": observation.rung,
        "outcome": observation.outcome,
        "failure": None if failure is None else failure.kind,
        "cancel_reason": observation.cancel_reason,
        "is_committed": observation.is_committed,
        "headers_s": _seconds(observation.headers_s),
        "ttft_s": _seconds(observation.ttft_s),
        "duration_s": _seconds(observation.duration_s),
        "cost_usd": None if (paid := observation.charged) is None or paid.cost is None else usd_text(paid.cost),
        "price_source": None if paid is None else paid.price_source,
        "deadlines": _limits(call.deadlines),
    }


def explain_quality(outcome: QualityOutcome) -> dict[str, object]:
    """Return how good an answer turned out to be."""
    return {
        "upstream": outcome.upstream,
        "source": outcome.source,
        "score": round(outcome.score, 4),
        "propensity": round(outcome.propensity, 6),
        "label": outcome.label,
    }


def summary(decision: Decision) -> str:
    """Return one line: route, plan and order, such as `chat: hedge a, b; exploring`."""
    order = " > ".join(", ".join(each.upstream.id for each in tier.candidates) or "nobody" for tier in decision.tiers)
    notes = [
        *(["exploring"] if decision.is_exploring else []),
        *(["panic"] if decision.is_panic else []),
        *([f"probing {decision.probe.upstream.id}"] if decision.probe is not None else []),
    ]
    return "; ".join([f"{decision.route.name}: {decision.plan} {order}", *notes])


def _limits(deadlines: Deadlines | None) -> dict[str, float] | None:
    """Return the two that follow from live percentiles."""
    if deadlines is None:
        return None
    return {"first_token_s": round(deadlines.first_token_s, 4), "stall_s": round(deadlines.stall_s, 4)}


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _candidate(candidate: Candidate, at: float, total: float) -> Mapping[str, object]:
    standing, estimate = candidate.standing, candidate.estimate
    return {
        "upstream": candidate.upstream.id,
        "failure_domain": candidate.upstream.failure_domain,
        "weight": round(candidate.weight, 6),
        "share": round(candidate.weight / total, 4) if total > 0.0 and standing.can_ask else None,
        "standing": standing.kind,
        "breaker": standing.breaker,
        "can_ask": standing.can_ask,
        "in_s": None if standing.until is None else round(max(0.0, standing.until - at), 3),
        "risk": round(standing.risk, 4),
        "factors": {
            "health": round(exp(-estimate.penalty), 6),
            "capacity": round(estimate.capacity, 6),
            "crowd": round(crowd(estimate), 6),
        },
        "estimate": {
            "ttft_s": round(estimate.ttft_s, 4),
            "normal_ttft_s": round(estimate.normal_ttft_s, 4),
            "tpot_s": estimate.tpot_s,
            "penalty": round(estimate.penalty, 4),
            "in_flight": estimate.in_flight,
            "in_flight_limit": estimate.in_flight_limit if isfinite(estimate.in_flight_limit) else None,
            "is_cold": estimate.is_cold,
        },
        "reasons": [*candidate.reasons, *_reasons(candidate, at)],
    }


def _reasons(candidate: Candidate, at: float) -> list[str]:
    standing, estimate = candidate.standing, candidate.estimate
    words = [standing.reason] if standing.reason else []
    if not standing.can_ask:
        when = "" if standing.until is None else f" for another {max(0.0, standing.until - at):.1f} s"
        words.append(f"it cannot be asked{when}" + _last_resort(candidate))
    elif standing.is_probe:
        words.append("the next call goes beside a request, to learn how it is")
    if estimate.penalty > 0.0:
        words.append(f"what speaks against it leaves {exp(-estimate.penalty):.0%} of its weight")
    if estimate.ttft_s > 1.2 * estimate.normal_ttft_s:
        words.append(f"its first token takes {estimate.ttft_s:.2f} s now, {estimate.normal_ttft_s:.2f} s when well")
    if estimate.capacity < 1.0:
        words.append(f"its ramp or its rate limit lets {estimate.capacity:.0%} through")
    if crowd(estimate) < 0.9:
        words.append(f"{estimate.in_flight} calls are in flight, near its limit of {estimate.in_flight_limit:g}")
    if estimate.is_cold:
        words.append("too little is known of it to judge its speed")
    return words


def _last_resort(candidate: Candidate) -> str:
    is_out = candidate.standing.kind == "rate_limited" or candidate.standing.reason == DRAINED
    return "" if is_out else ", except as a last resort"
