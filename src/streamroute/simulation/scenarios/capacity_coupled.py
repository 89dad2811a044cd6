"""Scenario `capacity_coupled`: the backups slow down with what they are given; after the outage all must be well again.

Metastable failures outlive what triggered them: Bronson et al., "Metastable Failures in Distributed Systems", HotOS
2021.
"""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, down, during
from streamroute.simulation.script import Script

_CAPACITY = {"max_in_flight": 14, "over_capacity": "slow"}
"""Neither backup can take everything at its usual pace, both together can: 5 requests a second of 4 s each are 20."""


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("capacity_coupled", seed, timing, {"a": (during(timing, down(timing)),)}, b=_CAPACITY, c=_CAPACITY)


CAPACITY_COUPLED = Scenario(
    name="capacity_coupled",
    title="a is down, b and c slow down under its load",
    scripts=_scripts,
    judged_after_s=60.0,
)
