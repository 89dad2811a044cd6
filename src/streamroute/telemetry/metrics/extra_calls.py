"""Calls beyond a request's first: hedges, races, continuations, probes; how they ended and what they cost."""

from prometheus_client import CollectorRegistry, Counter

from streamroute.core.money import in_usd
from streamroute.core.observation import AttemptObservation, ProbeObservation
from streamroute.core.outcome import CROSS_CHECKS
from streamroute.telemetry.metrics.children import child


class ExtraCallMetrics:
    """Counts calls that were made for speed, for a rescue, or to find out."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._hedges = Counter(
            "streamroute_hedges",
            "Backup calls made beside a first token that was late, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self._hedge_spend = Counter(
            "streamroute_hedge_spend_usd",
            "What hedges have cost.",
            registry=registry,
        )
        self._races = Counter(
            "streamroute_races",
            "Rivals that a race started beside its first call, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self._race_spend = Counter(
            "streamroute_race_spend_usd",
            "What rivals have cost.",
            registry=registry,
        )
        self._wasted_spend = Counter(
            "streamroute_wasted_spend_usd",
            "What calls have cost whose text no client got, by why they were made.",
            ("cause",),
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
            "Probes of upstreams: active ones, and users' requests that were also sent to one on its way back.",
            ("provider", "upstream", "step", "outcome"),
            registry=registry,
        )
        self._probe_spend = Counter(
            "streamroute_probe_spend_usd",
            "What active probes have cost.",
            registry=registry,
        )

    def observe(self, observation: AttemptObservation) -> None:
        """Count one attempt, where it was an extra one, and what it cost where nobody got its text."""
        cost_usd = _cost_usd(observation)
        if not _is_used(observation):
            child(self._wasted_spend, observation.cause).inc(cost_usd)
        match observation.cause:
            case "hedge":
                child(self._hedges, _result(observation)).inc()
                self._hedge_spend.inc(cost_usd)
            case "race":
                child(self._races, _result(observation)).inc()
                self._race_spend.inc(cost_usd)
            case "probe" if observation.route:  # the prober's own are told by `probed`
                who = (observation.provider, observation.upstream)
                child(self._probes, *who, "request", observation.outcome).inc()
            case "continuation":
                child(self._continuations, observation.rung or "", observation.outcome).inc()

    def probed(self, observation: ProbeObservation) -> None:
        """Count one active probe."""
        outcome = "succeeded" if observation.ok else "failed"
        child(self._probes, observation.provider, observation.upstream, observation.step, outcome).inc()
        self._probe_spend.inc(max(0.0, observation.cost_usd))


def _cost_usd(observation: AttemptObservation) -> float:
    """Return what the ledger says that it cost; 0 where nobody knows its price."""
    charged = observation.charged
    return 0.0 if charged is None else float(in_usd(charged.cost or 0))


def _is_used(observation: AttemptObservation) -> bool:
    """Say whether its answer was the one that the client got; a whole one is handed over after its end."""
    is_aside = observation.is_rejected or observation.cause == "probe" or observation.cause in CROSS_CHECKS
    is_whole = not observation.stream and observation.outcome == "succeeded" and not is_aside
    return observation.is_committed or is_whole


def _result(observation: AttemptObservation) -> str:
    if _is_used(observation):
        return "won"
    return "failed" if observation.outcome == "failed" else "lost"
