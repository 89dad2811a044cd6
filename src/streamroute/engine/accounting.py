"""From observations to entries of the ledger: a listener for the bus."""

import json
from collections.abc import Callable
from typing import get_args

import structlog

from streamroute.clock import wall
from streamroute.core.cost.entry import AttemptEntry, Entry, QualityEntry, RequestEntry
from streamroute.core.cost.price_book import TIERS, Tier
from streamroute.core.observation import AttemptObservation, Observation, QualityObservation, RequestObservation
from streamroute.feeds.price_list import EXTRA, is_installed

MAX_WARNED = 1000
"""Upstreams and tiers that a warning was given of; clients can name models freely."""

_TIERS: tuple[Tier, ...] = get_args(Tier)
_log = structlog.get_logger(__name__)


class Accounting:
    """Makes an entry of each attempt, each request and each judgement."""

    def __init__(self, record: Callable[[Entry], None], *, sidecar: str) -> None:
        """`record` takes entries; it must be quick. `sidecar` names this process."""
        self._record = record
        self._sidecar = sidecar
        self._warned: set[tuple[str, str | None]] = set()
        self.unpriced_attempts = 0
        """Charged attempts whose price nobody knew, from the start of the process."""

    def __call__(self, observation: Observation) -> None:
        """Hear an observation."""
        if isinstance(observation, AttemptObservation):
            self._record(self._attempt(observation))
        elif isinstance(observation, RequestObservation):
            self._record(_request(observation))
        elif isinstance(observation, QualityObservation):
            self._record(_quality(observation))

    def _attempt(self, observation: AttemptObservation) -> AttemptEntry:
        charged = observation.charged
        if charged is None:
            raise ValueError(f"nobody has worked out what an attempt on {observation.upstream} cost")
        if charged.cost is None:
            self.unpriced_attempts += 1
            self._warn(observation)
        usage, who, failure = charged.usage, observation.attribution, observation.failure
        return AttemptEntry(
            ledger_id=observation.ledger_id,
            attempt=observation.attempt,
            request_id=observation.request_id,
            ended_at_ms=int(wall() * 1000),
            cause=observation.cause,
            rung=observation.rung,
            outcome=observation.outcome,
            failure=None if failure is None else failure.kind,
            cancel_reason=observation.cancel_reason,
            route=observation.route or None,
            upstream=observation.upstream,
            provider=observation.provider,
            model=observation.model,
            tier=observation.tier,
            task=who.task,
            user=who.user,
            team=who.team,
            key=who.key,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            is_counted=charged.is_counted,
            cost=charged.cost,
            price_source=charged.price_source,
            ttft_s=observation.ttft_s,
            duration_s=observation.duration_s,
            sidecar=self._sidecar,
            is_rejected=observation.is_rejected,
        )

    def _warn(self, observation: AttemptObservation) -> None:
        """Say once what to add to the configuration."""
        what = (observation.upstream, observation.tier)
        if what in self._warned or len(self._warned) >= MAX_WARNED:
            return
        self._warned.add(what)
        _log.warning(
            "price.unknown",
            upstream=observation.upstream,
            provider=observation.provider,
            model=observation.model,
            tier=observation.tier,
            add=_line(observation),
            hint=None if is_installed() else f"pip install '{EXTRA}' knows the list prices of many models",
        )


def _line(observation: AttemptObservation) -> str:
    """Return what to add to the configuration, as TOML."""
    tier = TIERS.get(observation.tier)
    if tier is None:
        return f"nothing: there are no prices for a service tier {observation.tier!r}, only for {', '.join(_TIERS)}"
    about = {"provider": observation.provider, "model": observation.model}
    if tier != "standard":
        about["tier"] = tier
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in about.items()]
    return "\n".join(["[[prices]]", *lines, 'input_per_mtok = "DOLLARS"', 'output_per_mtok = "DOLLARS"'])


def _request(observation: RequestObservation) -> RequestEntry:
    who, failure = observation.attribution, observation.failure
    return RequestEntry(
        ledger_id=observation.ledger_id,
        request_id=observation.request_id,
        ended_at_ms=int(wall() * 1000),
        outcome=observation.outcome,
        failure=None if failure is None else failure.kind,
        route=observation.route,
        upstream=observation.upstream,
        provider=observation.provider,
        model=observation.model,
        task=who.task,
        user=who.user,
        team=who.team,
        key=who.key,
        attempts=observation.attempts,
        ttft_s=observation.ttft_s,
        duration_s=observation.duration_s,
        domain=observation.traits.domain,
        route_tier=observation.traits.tier,
        predicted=observation.traits.predicted,
        propensity=observation.traits.propensity,
    )


def _quality(observation: QualityObservation) -> QualityEntry:
    outcome, who, traits = observation.outcome, observation.attribution, observation.traits
    return QualityEntry(
        ledger_id=outcome.decision_id,
        source=outcome.source,
        upstream=outcome.upstream,
        ended_at_ms=int(wall() * 1000),
        score=outcome.score,
        weight=1.0 / outcome.propensity,
        label=outcome.label,
        route=observation.route,
        task=who.task,
        key=who.key,
        domain=traits.domain,
        route_tier=traits.tier,
        predicted=traits.predicted,
    )
