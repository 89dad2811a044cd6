"""Scenario `truncated`: answers end too early, correctly by HTTP's rules and without a word."""

from streamroute.simulation.faults import Cut
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("truncated", seed, timing, {"a": (during(timing, Cut(at_random=True, how="eof"), probability=0.5),)})


TRUNCATED = Scenario(name="truncated", title="half of the answers of a end without a finish reason", scripts=_scripts)
