"""Scenario `hang`: the preferred provider takes requests and says nothing, before or after its headers."""

from streamroute.simulation.faults import NoResponse
from streamroute.simulation.scenarios.cast import stage, trouble
from streamroute.simulation.script import Phase, Script


def hang(seed: int, time_scale: float) -> dict[str, Script]:
    """Return `a` hanging from 3 s to 10 s: half of the requests before the headers, half after the role delta."""
    from_s, until_s = trouble(time_scale)
    return stage(
        "hang",
        seed,
        time_scale,
        {
            "a": (
                Phase(from_s=from_s, until_s=until_s, probability=0.5, fault=NoResponse()),
                Phase(from_s=from_s, until_s=until_s, fault=NoResponse(after="role")),
            )
        },
    )
