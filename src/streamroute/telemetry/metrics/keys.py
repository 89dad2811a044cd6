"""How clients' keys fare: names, never secrets."""

from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streamroute.core.cost.key_figures import KeyFigures

MAX_KEY_LABELS = 200


def key_families(figures: KeyFigures, rate_limited: Mapping[tuple[str, str], int]) -> Iterable[Metric]:
    """Return the figures as metrics; `rate_limited` counts by the key's name and the limit that it went over."""
    keys = GaugeMetricFamily("streamroute_keys", "Keys of the key store.", labels=("state",))
    for state, count in (("live", figures.live), ("expired", figures.expired), ("revoked", figures.revoked)):
        keys.add_metric((state,), count)
    yield keys
    yield GaugeMetricFamily(
        "streamroute_keys_trouble",
        "1 while the key store cannot be read; the last known keys go on working.",
        value=bool(figures.trouble),
    )
    limited = CounterMetricFamily(
        "streamroute_rate_limited_requests",
        "Requests that were refused because their key had used up its limit.",
        labels=("key", "limit"),
    )
    shown = set(list(dict.fromkeys(name for name, _ in rate_limited))[:MAX_KEY_LABELS])
    counts: Counter[tuple[str, str]] = Counter()
    for (name, limit), count in rate_limited.items():
        counts[name if name in shown else "other", limit] += count
    for labels, count in counts.items():
        limited.add_metric(labels, count)
    yield limited
