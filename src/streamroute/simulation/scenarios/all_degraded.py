"""Scenario `all_degraded`: every provider fails 30 % of its requests. None is worth leaving."""

from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    often = (during(timing, ErrorStatus(status=500), probability=0.3),)
    return cast("all_degraded", seed, timing, {"a": often, "b": often, "c": often})


ALL_DEGRADED = Scenario(
    name="all_degraded", title="every provider fails 30 % of its requests", scripts=_scripts, faulty=("a", "b", "c")
)
