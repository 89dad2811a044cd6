"""Scenario `rate_limit_storm`: 429 from two of three providers, with the forms of Retry-After mixed."""

from streamroute.simulation.faults import RateLimit
from streamroute.simulation.scenarios.cast import stage, trouble
from streamroute.simulation.script import Phase, Script


def rate_limit_storm(seed: int, time_scale: float) -> dict[str, Script]:
    """Return `a` limiting everything and `b` half of its requests from 3 s to 10 s."""
    from_s, until_s = trouble(time_scale)
    wait_s = 2.0 * time_scale
    return stage(
        "rate_limit_storm",
        seed,
        time_scale,
        {
            "a": (
                Phase(
                    from_s=from_s, until_s=until_s, probability=0.5, fault=RateLimit(retry_after_s=wait_s, form="ms")
                ),
                Phase(from_s=from_s, until_s=until_s, fault=RateLimit(retry_after_s=wait_s)),
            ),
            "b": (Phase(from_s=from_s, until_s=until_s, probability=0.5, fault=RateLimit(form="none")),),
        },
    )
