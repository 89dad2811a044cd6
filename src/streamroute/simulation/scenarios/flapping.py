"""Scenario `flapping`: the preferred provider is well and down in turns, quicker than a cooldown."""

from streamroute.simulation.faults import Flapping
from streamroute.simulation.scenarios.cast import stage, trouble
from streamroute.simulation.script import Phase, Script


def flapping(seed: int, time_scale: float) -> dict[str, Script]:
    """Return `a` alternating every 0.7 s from 3 s to 10 s."""
    from_s, until_s = trouble(time_scale)
    fault = Flapping(period_s=0.7 * time_scale)
    return stage("flapping", seed, time_scale, {"a": (Phase(from_s=from_s, until_s=until_s, fault=fault),)})
