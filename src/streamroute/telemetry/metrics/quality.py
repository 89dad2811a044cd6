"""How good answers turned out to be: one observation a judgement."""

from prometheus_client import CollectorRegistry, Histogram

from streamroute.core.observation import QualityObservation
from streamroute.telemetry.metrics.attempts import MAX_UPSTREAM_LABELS
from streamroute.telemetry.metrics.children import child

MAX_DOMAIN_LABELS = 50
"""Clients may name domains freely; with 200 upstreams, three sources and nine series each."""
_BUCKETS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Both ends by themselves: a thumb down is 0, one up is 1."""


class QualityMetrics:
    """Counts judgements."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._upstreams: set[str] = set()
        self._domains: set[str] = set()
        self._score = Histogram(
            "streamroute_quality_score",
            "How good answers turned out to be, 0 to 1, as told: not weighted by the chance of being judged.",
            ("upstream", "domain", "source"),
            buckets=_BUCKETS,
            registry=registry,
        )

    def observe(self, observation: QualityObservation) -> None:
        """Count one judgement."""
        outcome = observation.outcome
        upstream: str = outcome.upstream
        if "/" in upstream:  # configured names have no slash: they are always shown
            upstream = _label(upstream, self._upstreams, MAX_UPSTREAM_LABELS)
        domain = _label(observation.traits.domain or "", self._domains, MAX_DOMAIN_LABELS)
        child(self._score, upstream, domain, outcome.source).observe(outcome.score)


def _label(name: str, known: set[str], most: int) -> str:
    if name and name not in known:
        if len(known) >= most:
            return "other"
        known.add(name)
    return name
