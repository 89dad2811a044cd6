"""Gates of routes with tiers: whom they trust with what, and what audits found. Domains are few: see `MAX_DOMAINS`."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamroute.core.money import in_usd
from streamroute.core.routing.learned.domain_guard import Trust
from streamroute.core.routing.learned.gate_figures import GateFigures

_WHERE = ("route", "domain")


def gate_families(gates: Sequence[GateFigures]) -> Iterable[Metric]:
    """Return the figures as metrics."""
    trusted = GaugeMetricFamily(
        "streamroute_gate_trusted", "Small models' answers are delivered there (1) or not (0).", labels=_WHERE
    )
    loss = GaugeMetricFamily(
        "streamroute_gate_loss", "Quality that delivering small models' answers is estimated to lose.", labels=_WHERE
    )
    audits = CounterMetricFamily(
        "streamroute_audits",
        "Delivered answers that were looked into, by what that came to.",
        labels=("route", "result"),
    )
    spend = CounterMetricFamily("streamroute_audit_spend_usd", "What audits have cost.", labels=("route",))
    for gate in gates:
        for each in gate.domains:
            trusted.add_metric((gate.route, each.domain), float(each.trust is Trust.TRUSTED))
            loss.add_metric((gate.route, each.domain), each.loss)
        for result, count in gate.audits.items():
            audits.add_metric((gate.route, result), count)
        spend.add_metric((gate.route,), float(in_usd(gate.spent)))
    yield from (trusted, loss, audits, spend)
