"""Calls beyond a request's first: hedges, races, continuations, probes; how they ended and what they cost."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

from streamroute.core.observation import AttemptObservation, ProbeObservation
from streamroute.core.upstream import TokenPrice, UpstreamId
from streamroute.telemetry.metrics.children import child

PriceOf = Callable[[UpstreamId], TokenPrice | None]


class ExtraCallMetrics:
    """Counts calls that were made for speed, for a rescue, or to find out."""

    def __init__(self, registry: CollectorRegistry, price_of: PriceOf) -> None:
        """`price_of` knows what an upstream's tokens cost, where that is configured."""
        self._price_of = price_of
        self._hedges = Counter(
            "streamroute_hedges",
            "Backup calls made beside a first token that was late, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self._hedge_spend = Counter(
            "streamroute_hedge_spend_usd",
            "What hedges have cost, at the configured prices.",
            registry=registry,
        )
        self._races = Counter(
            "streamroute_races",
            "Rivals that a race started beside its first call, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self._continuations = Counter(
            "streamroute_continuations",
            "Follow-on calls for answers that broke off, by how they were asked and how they ended.",
            ("rung", "outcome"),
            registry=registry,
        )
        self._probes = Counter(
            "streamroute_probes",
            "Active probes of upstreams.",
            ("provider", "upstream", "step", "outcome"),
            registry=registry,
        )
        self._probe_spend = Counter(
            "streamroute_probe_spend_usd",
            "What active probes have cost.",
            registry=registry,
        )

    def observe(self, observation: AttemptObservation) -> None:
        """Count one attempt, where it was an extra one."""
        match observation.cause:
            case "hedge":
                child(self._hedges, _result(observation)).inc()
                self._hedge_spend.inc(self._cost_usd(observation))
            case "race":
                child(self._races, _result(observation)).inc()
            case "continuation":
                child(self._continuations, observation.rung or "", observation.outcome).inc()

    def probed(self, observation: ProbeObservation) -> None:
        """Count one active probe."""
        outcome = "succeeded" if observation.ok else "failed"
        child(self._probes, observation.provider, observation.upstream, observation.step, outcome).inc()
        self._probe_spend.inc(max(0.0, observation.cost_usd))

    def _cost_usd(self, observation: AttemptObservation) -> float:
        price, usage = self._price_of(observation.upstream), observation.usage
        if price is None:
            return 0.0
        input_tokens = usage.input_tokens if usage is not None else observation.prompt_tokens
        output_tokens = usage.output_tokens if usage is not None else observation.content_events
        return float(input_tokens * price.input_per_mtok + output_tokens * price.output_per_mtok) / 1e6


def _result(observation: AttemptObservation) -> str:
    """Say whether its answer was the one that the client got."""
    if observation.is_committed or observation.outcome == "succeeded":
        return "won"
    return "failed" if observation.outcome == "failed" else "lost"
