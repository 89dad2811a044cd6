"""How price feeds fare."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamroute.core.cost.feed_figures import FeedFigures


def feed_families(feeds: Sequence[FeedFigures]) -> Iterable[Metric]:
    """Return the figures as metrics; the configuration bounds the labels."""
    reads = CounterMetricFamily(
        "streamroute_price_feed_reads", "Reads of a price feed, by what came of them.", labels=("feed", "outcome")
    )
    age = GaugeMetricFamily(
        "streamroute_price_feed_age_seconds", "Since the prices were true, by the feed's own word.", labels=("feed",)
    )
    stale = GaugeMetricFamily(
        "streamroute_price_feed_stale",
        "1 while its prices are older than `max_age_s`, or nothing was ever heard.",
        labels=("feed",),
    )
    for each in feeds:
        for outcome in ("accepted", "refused", "unreachable"):
            reads.add_metric((each.name, outcome), getattr(each, outcome))
        if each.age_s is not None:
            age.add_metric((each.name,), each.age_s)
        stale.add_metric((each.name,), float(each.state != "fresh"))
    yield from (reads, age, stale)
