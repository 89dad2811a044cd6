"""Scenario `coupled_backup`: the backups slow down with what they are given; after the outage all must be well again.

Metastable failures outlive what triggered them: Bronson et al., "Metastable Failures in Distributed Systems", HotOS
2021. The outage lasts half of the trouble.
"""

from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.traffic import Load

_LOAD = Load(rps=10.0)
_CAPACITY = {"capacity_rps": 8.0, "over_capacity": "slow"}
"""Neither backup can take everything at its usual pace, both together can."""


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    down = Phase(from_s=timing.trouble_from_s, until_s=timing.at(0.5), fault=ErrorStatus(status=503))
    return cast("coupled_backup", seed, timing, {"a": (down,)}, b=_CAPACITY, c=_CAPACITY)


COUPLED_BACKUP = Scenario(
    name="coupled_backup", title="a is down, b and c slow down under its load", scripts=_scripts, load=_LOAD
)
