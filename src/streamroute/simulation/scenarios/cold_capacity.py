"""Scenario `cold_capacity`: after an outage there is a tenth of the capacity for a while (30 s): beware of the herd."""

from dataclasses import replace

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, down, part, well
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load

_LOAD = Load()
_DOWN = 0.75
"""Share of the trouble that is the outage; the rest is the cold start. Only then it is over."""


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    cold = replace(well("a", timing), capacity_rps=_LOAD.rps / 10 / timing.scale, over_capacity="503")
    phases = (part(timing, 0.0, _DOWN, down(timing)), part(timing, _DOWN, 1.0, profile=cold))
    return cast("cold_capacity", seed, timing, {"a": phases})


COLD_CAPACITY = Scenario(
    name="cold_capacity",
    title="a is down, and then takes a tenth of the load for 30 s",
    scripts=_scripts,
    load=_LOAD,
    judged_after_s=60.0,
)
