"""Towards providers: one observation an attempt. OTel GenAI client metrics where they exist, our own beside them.

Names and buckets: OpenTelemetry semantic conventions for generative AI, `gen_ai.client.*`.
"""

from prometheus_client import CollectorRegistry, Counter, Histogram

from streamroute.core.observation import AttemptObservation
from streamroute.telemetry.metrics.children import child

MAX_UPSTREAM_LABELS = 200
_DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_WHO = ("provider", "upstream")


class AttemptMetrics:
    """Counts attempts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._upstreams: set[str] = set()
        self._attempts = Counter(
            "streamroute_attempts",
            "Calls to upstreams, by how they ended; kind is empty unless they failed.",
            (*_WHO, "outcome", "kind"),
            registry=registry,
        )
        self._duration = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "Duration of a call to an upstream, to its end.",
            (*_WHO, "outcome"),
            buckets=_DURATION_BUCKETS,
            registry=registry,
        )
        self._ttft = Histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "From the start of a call until its first content token.",
            _WHO,
            buckets=_DURATION_BUCKETS,
            registry=registry,
        )
        self._connect = Histogram(
            "streamroute_connect_seconds",
            "Getting a connection to an upstream; near zero where one was pooled.",
            _WHO,
            buckets=_DURATION_BUCKETS,
            registry=registry,
        )
        self._tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of a call, as the provider counted them.",
            (*_WHO, "token_type"),
            buckets=_TOKEN_BUCKETS,
            registry=registry,
        )
        self._malformed = Counter(
            "streamroute_malformed_events",
            "Events of upstreams' streams that were dropped because no client could read them.",
            _WHO,
            registry=registry,
        )

    def observe(self, observation: AttemptObservation) -> None:
        """Count one attempt."""
        who = (observation.provider, self._label(observation.upstream))
        kind = observation.failure.kind if observation.failure is not None else ""
        child(self._attempts, *who, observation.outcome, kind).inc()
        child(self._duration, *who, observation.outcome).observe(observation.duration_s)
        if observation.ttft_s is not None:
            child(self._ttft, *who).observe(observation.ttft_s)
        if observation.connect_s is not None:
            child(self._connect, *who).observe(observation.connect_s)
        if observation.usage is not None:
            child(self._tokens, *who, "input").observe(observation.usage.input_tokens)
            child(self._tokens, *who, "output").observe(observation.usage.output_tokens)
        if observation.malformed_events:
            child(self._malformed, *who).inc(observation.malformed_events)

    def _label(self, upstream: str) -> str:
        if "/" in upstream and upstream not in self._upstreams:  # configured names have no slash: they are always shown
            if len(self._upstreams) >= MAX_UPSTREAM_LABELS:
                return "other"
            self._upstreams.add(upstream)
        return upstream
