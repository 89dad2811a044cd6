"""Scenario `ramp`: the preferred provider slows down sixfold, then fails: what prediction is for."""

from streamroute.simulation.faults import Drift
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, down, part
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    slowing = part(timing, 0.0, 0.5, Drift(factor=6.0, over_s=timing.trouble_s / 2))
    return cast("ramp", seed, timing, {"a": (slowing, part(timing, 0.5, 1.0, down(timing)))})


RAMP = Scenario(name="ramp", title="a slows down six times over a minute, then answers 503", scripts=_scripts)
