"""The lines of the routing log (`[routing] log`), one JSON object each; nothing of the prompt, the answer or a key.

    {"kind": "decision", "version": 1, "id": "dec_...", "route": "chat", "request": {...}, "candidates": [...], ...}
    {"kind": "outcome", "version": 1, "id": "dec_...", "upstream": "a", "source": "feedback", "score": 1.0, ...}

A decision is written when its request is over, what is found out about its answer afterwards in lines of its own. Money
is text, in US dollars; times are seconds. Readers pass over fields that they do not know.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import inf, isfinite
from typing import Any, get_args

import orjson

from streamroute.core.health.standing import BreakerState, Estimate, Standing, StandingKind
from streamroute.core.money import Money, money, usd_text
from streamroute.core.observation import QualityObservation, RequestObservation
from streamroute.core.quality.quality_outcome import QualitySource
from streamroute.core.request import ChatRequest
from streamroute.core.requirements import Requirements
from streamroute.core.routing.analysis import DomainSource, Features, Modality
from streamroute.core.routing.decision import Candidate, Decision
from streamroute.core.routing.decision_log import DecisionRecord, Made, bid_of, traits
from streamroute.core.routing.explain_match import explain_features, explain_requirements
from streamroute.core.routing.question import OutputFormat
from streamroute.core.routing.recorded import RecordedCandidate, RecordedDecision, RecordedOutcome
from streamroute.core.routing.rules import COUNTS, SHARES
from streamroute.core.routing.weight import LONG_ANSWER_TOKENS
from streamroute.core.upstream import LatencyClass, UpstreamId
from streamroute.errors import RequestError
from streamroute.wire.requirements import FIELD, take_requirements

VERSION = 1
_REQUEST = (
    "prompt_bytes", "least_prompt_tokens", "max_output_tokens", "choices", "stream", "uses_tools", "images",
    "uses_json_schema", "wants_json",
)  # fmt: skip
"""What a decision depends on, of a `ChatRequest`."""
_ESTIMATE = ("ttft_s", "normal_ttft_s", "tpot_s", "penalty", "capacity", "in_flight", "is_cold")


class LineError(ValueError):
    """A line that is none of a routing log, and why."""


class ForeignLineError(LineError):
    """No sidecar has written it so."""


def decision_line(record: DecisionRecord, observation: RequestObservation, at: str) -> bytes:
    """Return the line of a request that is over; `at` is when."""
    decision, request = record.decision, record.request
    made = [each.observation for each in record.calls if isinstance(each, Made)]
    charged = [each.charged for each in made if each.charged is not None]
    costs = [each.cost for each in charged]
    total = None if None in costs else Money(sum(cost for cost in costs if cost is not None))
    matched = decision.matched
    document = {
        "kind": "decision",
        "version": VERSION,
        "id": record.id,
        "at": at,
        "route": decision.route.name,
        "model": decision.route.name if request is None else request.model,
        "steering": decision.route.steering,
        "latency_class": decision.latency_class,
        "task": record.attribution.task,
        "domain": record.traits(None).domain,
        "requirements": explain_requirements(record.requirements),
        "policy": None if matched is None else matched.policy,
        "features": {} if matched is None else explain_features(matched.features),
        "request": {} if request is None else {name: getattr(request, name) for name in _REQUEST},
        "is_panic": decision.is_panic,
        "propensity": decision.propensity,
        "candidates": [_candidate(each, tier, request) for tier in decision.tiers for each in tier.candidates],
        "outcome": observation.outcome,
        "answered_by": record.answered_by,
        "calls": len(made),
        "input_tokens": sum(each.usage.input_tokens for each in charged),
        "output_tokens": sum(each.usage.output_tokens for each in charged),
        "cost_usd": None if total is None else usd_text(total),
        "ttft_s": observation.ttft_s,
        "duration_s": observation.duration_s,
    }
    return orjson.dumps(document)


def outcome_line(observation: QualityObservation, at: str) -> bytes:
    """Return the line of what was found out about an answer."""
    outcome = observation.outcome
    return orjson.dumps(
        {
            "kind": "outcome",
            "version": VERSION,
            "id": outcome.decision_id,
            "at": at,
            "upstream": outcome.upstream,
            "source": outcome.source,
            "score": outcome.score,
            "weight": 1.0 / outcome.propensity,
            "label": outcome.label,
        }
    )


def _candidate(candidate: Candidate, decision: Decision, request: ChatRequest | None) -> dict[str, Any]:
    upstream, standing, estimate = candidate.upstream, candidate.standing, candidate.estimate
    known, bid = traits(decision, upstream.id), bid_of(decision, upstream.id)
    cost_usd = None if bid is None else bid.cost_usd
    if cost_usd is None and upstream.price is not None and request is not None:
        limit = request.max_output_tokens
        output = LONG_ANSWER_TOKENS if limit is None else min(limit, LONG_ANSWER_TOKENS)
        cost_usd = upstream.price.rough_usd(request.prompt_tokens, output * request.choices)
    return {
        "upstream": upstream.id,
        "tier": known.tier,
        "standing": standing.kind,
        "breaker": standing.breaker,
        "can_ask": standing.can_ask,
        "is_probe": standing.is_probe,
        **{name: getattr(estimate, name) for name in _ESTIMATE},
        "in_flight_limit": estimate.in_flight_limit if isfinite(estimate.in_flight_limit) else None,
        "weight": candidate.weight,
        "predicted": known.predicted,
        "predicted_sd": None if bid is None or bid.quality is None else bid.quality.sd,
        "cost_usd": cost_usd,
    }


def read_line(line: bytes) -> RecordedDecision | RecordedOutcome | None:
    """Return what a line says, None for an empty one; raises LineError."""
    if not line.strip():
        return None
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ForeignLineError(f"it is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("kind") not in ("decision", "outcome"):
        raise ForeignLineError("it is no line of a routing log: `kind` is neither decision nor outcome")
    if document.get("version") != VERSION:
        raise LineError(f"its version is {document.get('version')!r}; this streamroute reads {VERSION}")
    fields = _Fields(document, "")
    return _read_decision(fields) if document["kind"] == "decision" else _read_outcome(fields)


def _read_outcome(fields: "_Fields") -> RecordedOutcome:
    return RecordedOutcome(
        id=fields.text("id"),
        upstream=UpstreamId(fields.text("upstream")),
        source=fields.choice("source", get_args(QualitySource)),
        score=fields.number("score", 0.0, 1.0),
        weight=fields.number("weight", 1.0),
    )


def _read_decision(fields: "_Fields") -> RecordedDecision:
    request = fields.table("request")
    candidates = [_read_candidate(each) for each in fields.tables("candidates")]
    if not candidates:
        raise LineError("`candidates` is empty")
    answered_by = fields.optional_text("answered_by")
    return RecordedDecision(
        id=fields.text("id"),
        at=fields.text("at"),
        route=fields.text("route"),
        request=ChatRequest(
            wire_format="openai_chat",
            payload={},
            model=fields.text("model"),
            prompt_bytes=request.count("prompt_bytes"),
            least_prompt_tokens=request.optional_count("least_prompt_tokens") or 0,
            max_output_tokens=request.optional_count("max_output_tokens"),
            choices=max(1, request.count("choices")),
            stream=request.flag("stream"),
            uses_tools=request.flag("uses_tools"),
            images=request.count("images"),
            uses_json_schema=request.flag("uses_json_schema"),
            wants_json=request.flag("wants_json"),
        ),
        latency_class=fields.choice("latency_class", get_args(LatencyClass)),
        task=fields.optional_text("task"),
        domain=fields.optional_text("domain"),
        requirements=_read_requirements(fields),
        features=_read_features(fields.table("features")),
        candidates=candidates,
        is_panic=fields.flag("is_panic"),
        propensity=fields.number("propensity", 1e-12, 1.0),
        outcome=fields.text("outcome"),
        answered_by=None if answered_by is None else UpstreamId(answered_by),
        calls=fields.count("calls"),
        input_tokens=fields.count("input_tokens"),
        output_tokens=fields.count("output_tokens"),
        cost=fields.optional_money("cost_usd"),
        ttft_s=fields.optional_number("ttft_s"),
        duration_s=fields.number("duration_s"),
    )


def _read_requirements(fields: "_Fields") -> Requirements:
    try:
        return take_requirements({FIELD: dict(fields.table("requirements").values)})
    except RequestError as error:
        raise LineError(f"`requirements`: {error.message}") from None


def _read_features(fields: "_Fields") -> Features | None:
    if not fields.values:
        return None
    numbers: dict[str, Any] = {name: fields.count(name) for name in COUNTS}
    numbers |= {name: fields.number(name) for name in SHARES}
    modalities = fields.values.get("modalities")
    known = get_args(Modality)
    if not isinstance(modalities, list) or not all(each in known for each in modalities):
        raise LineError(f"`features.modalities` must be a list of {', '.join(known)}")
    return Features(
        **numbers,
        format=fields.choice("format", get_args(OutputFormat)),
        language=fields.text("language"),
        modalities=tuple(modalities),
        domain=fields.optional_text("domain"),
        domain_source=fields.choice("domain_source", get_args(DomainSource)),
    )


def _read_candidate(fields: "_Fields") -> RecordedCandidate:
    limit = fields.optional_number("in_flight_limit")
    return RecordedCandidate(
        upstream=UpstreamId(fields.text("upstream")),
        tier=fields.optional_count("tier"),
        standing=Standing(
            kind=fields.choice("standing", get_args(StandingKind)),
            breaker=fields.choice("breaker", get_args(BreakerState)),
            can_ask=fields.flag("can_ask"),
            is_probe=fields.flag("is_probe"),
        ),
        estimate=Estimate(
            ttft_s=fields.number("ttft_s"),
            normal_ttft_s=fields.number("normal_ttft_s"),
            tpot_s=fields.optional_number("tpot_s"),
            penalty=fields.number("penalty"),
            capacity=fields.number("capacity", 0.0, 1.0),
            in_flight=fields.count("in_flight"),
            in_flight_limit=inf if limit is None else limit,
            is_cold=fields.flag("is_cold"),
        ),
        predicted=fields.optional_number("predicted"),
        predicted_sd=fields.optional_number("predicted_sd"),
        cost_usd=fields.optional_number("cost_usd"),
    )


class _Fields:
    """Fields of an object; every look says which field is not what it should be."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self._where = where

    def _wrong(self, name: str, wanted: str) -> LineError:
        found = repr(self.values[name])[:40] if name in self.values else "nothing"
        return LineError(f"`{self._where}{name}` must be {wanted}; found {found}")

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "text")
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.values.get(name) is None else self.text(name)

    def choice(self, name: str, known: tuple[Any, ...]) -> Any:
        value = self.values.get(name)
        if value not in known:
            raise self._wrong(name, f"one of {', '.join(known)}")
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def number(self, name: str, least: float = 0.0, most: float = inf) -> float:
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            bounds = f"of at least {least:g}" if most == inf else f"from {least:g} to {most:g}"
            raise self._wrong(name, f"a number {bounds}")
        return float(value)

    def optional_number(self, name: str) -> float | None:
        return None if self.values.get(name) is None else self.number(name)

    def count(self, name: str) -> int:
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self._wrong(name, "a whole number of at least 0")
        return value

    def optional_count(self, name: str) -> int | None:
        return None if self.values.get(name) is None else self.count(name)

    def optional_money(self, name: str) -> Money | None:
        value = self.values.get(name)
        if value is None:
            return None
        try:
            return money(Decimal(value))
        except (ValueError, TypeError, ArithmeticError):
            raise self._wrong(name, "an amount in US dollars, as text") from None

    def table(self, name: str) -> "_Fields":
        value = self.values.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return _Fields(value, f"{self._where}{name}.")

    def tables(self, name: str) -> "Sequence[_Fields]":
        value = self.values.get(name)
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self._wrong(name, "a list of objects")
        return [_Fields(each, f"{self._where}{name}[{i}].") for i, each in enumerate(value)]
