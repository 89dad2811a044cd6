"""Settings of health, steering, hedging and probing. Every default says where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamroute.core.upstream import LatencyClass

HEDGE_SPEND: Mapping[LatencyClass, float] = {
    "batch": 0.0,
    "standard": 0.03,
    "interactive": 0.05,
    "latency_critical": 0.15,
}
"""Share of the last minute's spend that hedges may add. 5 % is what Tail at Scale pays for p95 hedging."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthOptions:
    """Ranges are checked by the configuration, with file and line."""

    slo_factor: float = 2.5
    """The latency objective: a first token later than this many times the normal is a breach; 1.2..20."""
    false_steers_per_hour: float = 1.0
    """How many false alarms an hour are accepted for each upstream, from 0.01 to 60: thresholds follow from it and from
    the rate of requests. A false alarm costs next to nothing, for traffic moves softly."""
    probe_budget_usd_per_day: float = 0.10
    """What active probes may cost, all upstreams together, 0..100; 0 leaves only the probes that are free."""
    probe_silence_s: float = 10.0
    """Silence after which an upstream that matters is probed, 1..3600; Bifrost recomputes every 5 s, OpenRouter
    remembers outages for 30 s."""
    is_probing: bool = True
    """False: active probes are off; half-open upstreams are still tried beside users' requests."""
    hedge_spend: Mapping[LatencyClass, float] = field(default_factory=lambda: dict(HEDGE_SPEND))
    """Share of the last minute's spend that hedges may add, by latency class, 0..1."""
