"""`[health]` -> `HealthOptions`."""

from streamroute.config.schema import HealthTable
from streamroute.core.health.options import HealthOptions


def build_health(table: HealthTable) -> HealthOptions:
    """Return how upstreams are watched, steered and probed."""
    spend = table.hedge_spend
    return HealthOptions(
        slo_factor=table.slo_factor,
        false_steers_per_hour=table.false_steers_per_hour,
        probe_budget_usd_per_day=table.probe_budget_usd_per_day,
        probe_silence_s=table.probe_silence_s,
        is_probing=table.is_probing,
        hedge_spend={
            "batch": spend.batch,
            "standard": spend.standard,
            "interactive": spend.interactive,
            "latency_critical": spend.latency_critical,
        },
    )
