"""Scenario `cold_recovery`: after an outage there is a tenth of the capacity for a while (30 s): beware of the herd."""

from dataclasses import replace

from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, well
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.traffic import Load

_LOAD = Load(rps=20.0)
"""So that a tenth is a rate that can be kept to."""
_DOWN = 0.75
"""Share of the trouble that is the outage; the rest is the cold start."""


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    cold = replace(well("a", timing), capacity_rps=_LOAD.rps / 10, over_capacity="503")
    warm_from_s = timing.at(_DOWN)
    return cast(
        "cold_recovery",
        seed,
        timing,
        {
            "a": (
                Phase(from_s=timing.trouble_from_s, until_s=warm_from_s, fault=ErrorStatus(status=503)),
                Phase(from_s=warm_from_s, until_s=timing.trouble_until_s, profile=cold),
            )
        },
    )


COLD_RECOVERY = Scenario(
    name="cold_recovery",
    title="a comes back with a tenth of its capacity",
    scripts=_scripts,
    load=_LOAD,
)
