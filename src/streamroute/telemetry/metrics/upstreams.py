"""How upstreams stand, read when somebody asks: gauges need no bookkeeping between two scrapes.

The figures are taken on the event loop, where they live, before the exposition is rendered in another thread.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamroute.core.cost.budget import SpendFigures
from streamroute.core.cost.budget_line import Scope, Window
from streamroute.core.cost.feed_figures import FeedFigures
from streamroute.core.cost.key_figures import KeyFigures
from streamroute.core.cost.ledger_figures import LedgerFigures
from streamroute.core.health.attempt_budget import BudgetFigures
from streamroute.core.health.scorecard import Score
from streamroute.core.health.standing import BreakerState, Standing, StandingKind
from streamroute.core.routing.file_figures import NOTHING_WRITTEN, RoutingFileFigures
from streamroute.core.routing.learned.gate_figures import GateFigures
from streamroute.core.upstream import Upstream
from streamroute.telemetry.metrics.budgets import budget_families
from streamroute.telemetry.metrics.gates import gate_families
from streamroute.telemetry.metrics.keys import key_families
from streamroute.telemetry.metrics.ledger import ledger_families
from streamroute.telemetry.metrics.price_feeds import feed_families
from streamroute.telemetry.metrics.routing_files import routing_file_families

_WHO = ("provider", "upstream")
_STATES: tuple[BreakerState, ...] = get_args(BreakerState)
_STANDINGS: tuple[StandingKind, ...] = get_args(StandingKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the gauges show, taken at one moment."""

    upstreams: Sequence[tuple[Upstream, Standing, Score]] = ()
    """Configured ones: their number bounds the labels."""
    budget: BudgetFigures | None = None
    event_loop_lag_s: float = 0.0
    ledger: LedgerFigures | None = None
    routing_files: RoutingFileFigures = NOTHING_WRITTEN
    keys: KeyFigures | None = None
    price_feeds: Sequence[FeedFigures] = ()
    spend: Sequence[SpendFigures] = ()
    over_budget: int = 0
    """Calls that were not made for want of money."""
    soft_limits: Mapping[tuple[Scope, Window], int] = field(default_factory=dict)
    """Of budgets: how often one was reached."""
    rate_limited: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Requests, by key and limit."""
    gates: Sequence[GateFigures] = ()
    """Of routes with tiers that were asked."""


class UpstreamGauges(Collector):
    """A collector of Prometheus' client; hand `take` to whoever renders."""

    def __init__(self, source: Callable[[], Snapshot]) -> None:
        self._source = source
        self._snapshot = Snapshot()

    def take(self) -> None:
        """Read the figures; call it on the event loop."""
        self._snapshot = self._source()

    def collect(self) -> Iterable[Metric]:
        """Return the gauges as they were taken."""
        state = GaugeMetricFamily(
            "streamroute_upstream_state",
            "1 for the state that the upstream's breaker is in, 0 for the others.",
            labels=(*_WHO, "state"),
        )
        kind = GaugeMetricFamily(
            "streamroute_upstream_standing",
            "1 for what is known against the upstream, 0 for the others.",
            labels=(*_WHO, "standing"),
        )
        risk = GaugeMetricFamily(
            "streamroute_upstream_risk",
            "From 0 (well) to 1 (steered away from entirely).",
            labels=_WHO,
        )
        steers = CounterMetricFamily(
            "streamroute_steers", "How often traffic was steered away from an upstream.", labels=_WHO
        )
        confirmed = CounterMetricFamily(
            "streamroute_confirmed_steers", "Steers that a failure or a breach of the objective came with.", labels=_WHO
        )
        predicted = CounterMetricFamily(
            "streamroute_predicted_steers", "Steers that came before the first failure or breach.", labels=_WHO
        )
        false_steers = CounterMetricFamily(
            "streamroute_false_steers", "Steers that no failure and no breach of the objective followed.", labels=_WHO
        )
        lead = GaugeMetricFamily(
            "streamroute_steer_lead_seconds",
            "From the last confirmed steer to the first breach; negative where the breach came first.",
            labels=_WHO,
        )
        for upstream, standing, score in self._snapshot.upstreams:
            who = (upstream.provider, upstream.id)
            for name in _STATES:
                state.add_metric((*who, name), float(standing.breaker == name))
            for each in _STANDINGS:
                kind.add_metric((*who, each), float(standing.kind == each))
            risk.add_metric(who, standing.risk)
            steers.add_metric(who, score.steers)
            confirmed.add_metric(who, score.confirmed)
            predicted.add_metric(who, score.predicted)
            false_steers.add_metric(who, score.false_steers)
            if score.last_lead_s is not None:
                lead.add_metric(who, score.last_lead_s)
        yield from (state, kind, risk, steers, confirmed, predicted, false_steers, lead)
        if self._snapshot.budget is not None:
            yield from _budget(self._snapshot.budget)
        if self._snapshot.ledger is not None:
            yield from ledger_families(self._snapshot.ledger)
        yield from routing_file_families(self._snapshot.routing_files)
        if self._snapshot.keys is not None:
            yield from key_families(self._snapshot.keys, self._snapshot.rate_limited)
        yield from budget_families(self._snapshot.spend, self._snapshot.over_budget, self._snapshot.soft_limits)
        yield from feed_families(self._snapshot.price_feeds)
        yield from gate_families(self._snapshot.gates)
        yield GaugeMetricFamily(
            "streamroute_event_loop_lag_seconds",
            "How late this process's event loop was at the last look.",
            value=self._snapshot.event_loop_lag_s,
        )


def _budget(figures: BudgetFigures) -> Iterable[Metric]:
    yield GaugeMetricFamily(
        "streamroute_retry_tokens",
        "Left of 20 for all upstreams together: a failure takes 1, a success gives 2, no hedge at 10 or below.",
        value=figures.global_tokens,
    )
    for name, what, denied in (
        ("streamroute_hedges_denied", "Hedges", figures.hedges_denied),
        ("streamroute_retries_denied", "Retries", figures.retries_denied),
    ):
        family = CounterMetricFamily(name, f"{what} that the budgets refused, by what was used up.", labels=("budget",))
        for budget, count in denied.items():
            family.add_metric((budget,), count)
        yield family
