"""Scenario `outage`: the preferred provider is down for seven seconds, then well."""

from streamroute.simulation.faults import ErrorStatus, Reset
from streamroute.simulation.scenarios.cast import stage, trouble
from streamroute.simulation.script import Phase, Script


def outage(seed: int, time_scale: float) -> dict[str, Script]:
    """Return `a` refusing with 503 or resetting its connections from 3 s to 10 s."""
    from_s, until_s = trouble(time_scale)
    return stage(
        "outage",
        seed,
        time_scale,
        {
            "a": (
                Phase(from_s=from_s, until_s=until_s, probability=0.3, fault=Reset()),
                Phase(from_s=from_s, until_s=until_s, fault=ErrorStatus(status=503)),
            )
        },
    )
