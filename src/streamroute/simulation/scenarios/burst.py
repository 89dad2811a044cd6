"""Scenario `burst`: all are well, but requests come in crowds (cv 13, as in Azure's public trace of code models)."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("burst", seed, timing)


BURST = Scenario(
    name="burst", title="requests come in bursts, all are well", scripts=_scripts, faulty=(), load=Load(arrivals_cv=13)
)
