"""Scenario `afternoon`: one trouble after another in 15 seconds."""

from streamroute.simulation.faults import Drift, ErrorStatus, RateLimit, Reset
from streamroute.simulation.scenarios.cast import stage
from streamroute.simulation.script import Phase, Script


def afternoon(seed: int, time_scale: float) -> dict[str, Script]:
    """Return: well until 3 s, `a` drifts until 6 s, `a` and `b` limit rates until 9 s, `a` is down until 12 s, well."""
    at_3, at_6, at_9, at_12 = (3.0 * i * time_scale for i in range(1, 5))
    return stage(
        "afternoon",
        seed,
        time_scale,
        {
            "a": (
                Phase(from_s=at_3, until_s=at_6, fault=Drift(factor=6.0, over_s=at_6 - at_3)),
                Phase(from_s=at_6, until_s=at_9, fault=RateLimit(retry_after_s=time_scale, form="ms")),
                Phase(from_s=at_9, until_s=at_12, probability=0.4, fault=Reset()),
                Phase(from_s=at_9, until_s=at_12, fault=ErrorStatus(status=503)),
            ),
            "b": (
                Phase(
                    from_s=at_6,
                    until_s=at_9,
                    probability=0.5,
                    fault=RateLimit(retry_after_s=time_scale / 2, form="ms"),
                ),
            ),
        },
    )
