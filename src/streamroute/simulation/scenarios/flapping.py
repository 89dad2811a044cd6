"""Scenario `flapping`: the preferred provider is down and well in turns of a twelfth of the trouble (10 s)."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, down, part
from streamroute.simulation.script import Script

_TURNS = 12


def _flapping(seed: int, timing: Timing) -> dict[str, Script]:
    turns = range(0, _TURNS, 2)
    phases = tuple(part(timing, turn / _TURNS, (turn + 1) / _TURNS, down(timing)) for turn in turns)
    return cast("flapping", seed, timing, {"a": phases})


FLAPPING = Scenario(name="flapping", title="a is down and well in turns of 10 s", scripts=_flapping)
