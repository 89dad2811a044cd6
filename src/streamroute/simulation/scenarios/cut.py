"""Scenario `cut`: connections break in the middle of answers, after a random token."""

from streamroute.simulation.faults import Cut
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("cut", seed, timing, {"a": (during(timing, Cut(at_random=True), probability=0.5),)})


CUT = Scenario(name="cut", title="half of the answers of a break off, connection lost", scripts=_scripts)
