"""Scenario `flapping`: the preferred provider is well and down in turns of a twelfth of the trouble (10 s)."""

from streamroute.simulation.faults import Flapping
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _flapping(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("flapping", seed, timing, {"a": (during(timing, Flapping(period_s=timing.trouble_s / 12)),)})


FLAPPING = Scenario(name="flapping", title="a is well and down in turns of 10 s", scripts=_flapping)
