"""Scenario `stall`: answers fall silent for good after a random token."""

from streamroute.simulation.faults import Stall
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("stall", seed, timing, {"a": (during(timing, Stall(at_random=True), probability=0.5),)})


STALL = Scenario(name="stall", title="half of the answers of a fall silent in the middle", scripts=_scripts)
