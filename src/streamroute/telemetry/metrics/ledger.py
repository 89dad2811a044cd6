"""How the ledger fares."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamroute.core.cost.ledger_figures import LedgerFigures


def ledger_families(figures: LedgerFigures) -> Iterable[Metric]:
    """Return the figures as metrics."""
    entries = CounterMetricFamily(
        "streamroute_ledger_entries", "Entries of the ledger, by what became of them.", labels=("fate",)
    )
    for fate, count in (("written", figures.written), ("refused", figures.refused), ("dropped", figures.dropped)):
        entries.add_metric((fate,), count)
    waiting = GaugeMetricFamily(
        "streamroute_ledger_waiting_entries", "Entries that are not in the database yet.", labels=("place",)
    )
    waiting.add_metric(("memory",), figures.waiting)
    waiting.add_metric(("disk",), figures.spooled)
    yield from (entries, waiting)
    yield GaugeMetricFamily(
        "streamroute_ledger_trouble",
        "1 while the database or the spool cannot be written.",
        value=bool(figures.trouble),
    )
    yield CounterMetricFamily(
        "streamroute_unpriced_attempts", "Charged calls whose price nobody knew.", value=figures.unpriced
    )
