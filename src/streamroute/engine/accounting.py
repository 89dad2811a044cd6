"""From observations to entries of the ledger: a listener for the bus.

A price or an upstream that a reload has taken away is still known for the calls that were under way.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from streamroute.clock import wall
from streamroute.core.cost.charge import Charge, charge
from streamroute.core.cost.entry import AttemptEntry, Entry, RequestEntry
from streamroute.core.cost.price_book import PriceBook, Quote
from streamroute.core.money import NOTHING, Money
from streamroute.core.observation import AttemptObservation, Observation, RequestObservation
from streamroute.core.routing.route import Catalog, find_upstream
from streamroute.core.upstream import Capabilities, Upstream
from streamroute.core.usage import Usage

MAX_WARNED = 1000
"""Upstreams and tiers that a warning was given of; clients can name models freely."""
_NO_CHARGE = Charge(Usage(), is_counted=False)
_UNKNOWN = Capabilities()

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What entries are made by."""

    catalog: Catalog
    prices: PriceBook


class Accounting:
    """Makes an entry of each attempt and each request."""

    def __init__(self, record: Callable[[Entry], None], terms: Terms) -> None:
        """`record` takes entries; it must be quick."""
        self._record = record
        self.terms = self._before = terms
        self._warned: set[tuple[str, str | None]] = set()
        self.unpriced_attempts = 0
        """Charged attempts whose price nobody knew, from the start of the process."""

    def apply(self, terms: Terms) -> None:
        """Go by new terms; the old ones stay for what they alone know."""
        self._before, self.terms = self.terms, terms

    def __call__(self, observation: Observation) -> None:
        """Hear an observation."""
        if isinstance(observation, AttemptObservation):
            self._record(self._attempt(observation))
        elif isinstance(observation, RequestObservation):
            self._record(_request(observation))

    def _attempt(self, observation: AttemptObservation) -> AttemptEntry:
        at_ms = int(wall() * 1000)
        upstream = self._upstream(observation)
        charged = charge(observation, _UNKNOWN if upstream is None else upstream.capabilities) or _NO_CHARGE
        cost: Money | None = NOTHING
        source = None
        if charged is not _NO_CHARGE:
            cost, source = self._price(observation, upstream, charged.usage, at_ms)
        usage, who, failure = charged.usage, observation.attribution, observation.failure
        return AttemptEntry(
            ledger_id=observation.ledger_id,
            attempt=observation.attempt,
            request_id=observation.request_id,
            ended_at_ms=at_ms,
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
            cost=cost,
            price_source=source,
            ttft_s=observation.ttft_s,
            duration_s=observation.duration_s,
        )

    def _upstream(self, observation: AttemptObservation) -> Upstream | None:
        name = observation.upstream
        return find_upstream(name, self.terms.catalog) or find_upstream(name, self._before.catalog)

    def _price(
        self, observation: AttemptObservation, upstream: Upstream | None, usage: Usage, at_ms: int
    ) -> tuple[Money | None, str | None]:
        """Return what `usage` costs, and by which line of the configuration."""
        quote = self._quote(observation, self.terms, at_ms) or self._quote(observation, self._before, at_ms)
        if quote is not None:
            return quote.price.cost(usage), quote.source
        if upstream is not None and upstream.is_simulated:
            return NOTHING, "simulated"
        self.unpriced_attempts += 1
        self._warn(observation)
        return None, None

    def _quote(self, observation: AttemptObservation, terms: Terms, at_ms: int) -> Quote | None:
        return terms.prices.find(observation.upstream, observation.provider, observation.model, observation.tier, at_ms)

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
            add="[[prices]] with provider, model, tier, input_per_mtok and output_per_mtok; or `price` of the upstream",
        )


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
    )
