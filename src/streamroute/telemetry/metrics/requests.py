"""Towards clients: one observation a request. OTel GenAI server metrics where they exist, our own beside them."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from streamroute.core.observation import RefusalObservation, RequestObservation
from streamroute.telemetry.metrics.children import child

_DURATION_BUCKETS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TTFT_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
_ROUTE_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
MAX_ROUTE_LABELS = 200


class RequestMetrics:
    """Counts requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._routes: set[str] = set()
        self._requests = Counter(
            "streamroute_requests",
            "Requests of clients, by how they ended; kind is empty unless they failed.",
            ("route", "outcome", "kind"),
            registry=registry,
        )
        self._refused = Counter(
            "streamroute_refused_requests",
            "Requests that were refused before any upstream was asked.",
            ("http_status",),
            registry=registry,
        )
        self._unmet = Counter(
            "streamroute_requirements_not_met",
            "Requests that were refused because nobody meets what they require, by requirement.",
            ("route", "requirement"),
            registry=registry,
        )
        self._failovers = Counter(
            "streamroute_failovers",
            "Attempts replaced by another, before the first token or in the middle of an answer.",
            ("route", "phase", "reason"),
            registry=registry,
        )
        self._duration = Histogram(
            "gen_ai_server_request_duration_seconds",
            "From a request's arrival until the end of its answer.",
            ("route", "outcome"),
            buckets=_DURATION_BUCKETS,
            registry=registry,
        )
        self._ttft = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "From a request's arrival until its first content token was sent.",
            ("route",),
            buckets=_TTFT_BUCKETS,
            registry=registry,
        )
        self._overhead = Histogram(
            "streamroute_overhead_seconds",
            "From a request's arrival until the first upstream was asked: reading, checking, deciding.",
            ("route",),
            buckets=_ROUTE_BUCKETS,
            registry=registry,
        )

    def observe(self, observation: RequestObservation) -> None:
        """Count one request."""
        route = self._label(observation.route)
        kind = observation.failure.kind if observation.failure is not None else ""
        child(self._requests, route, observation.outcome, kind).inc()
        child(self._duration, route, observation.outcome).observe(observation.duration_s)
        child(self._overhead, route).observe(observation.route_s)
        if observation.ttft_s is not None and observation.stream:
            child(self._ttft, route).observe(observation.ttft_s)
        for reason in observation.failovers:
            child(self._failovers, route, "before_first_token", reason).inc()
        for reason in observation.rescued:
            child(self._failovers, route, "mid_stream", reason).inc()

    def refused(self, observation: RefusalObservation) -> None:
        """Count one refusal."""
        child(self._refused, str(observation.http_status)).inc()
        for requirement in observation.unmet:
            child(self._unmet, self._label(observation.route), requirement).inc()

    def _label(self, route: str) -> str:
        if "/" in route and route not in self._routes:  # configured names have no slash: they are always shown
            if len(self._routes) >= MAX_ROUTE_LABELS:
                return "other"
            self._routes.add(route)
        return route
