"""Scenario `outage_503`: the preferred provider is down and says so at once, then is well again."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, down, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("outage_503", seed, timing, {"a": (during(timing, down(timing)),)})


OUTAGE_503 = Scenario(name="outage_503", title="a answers 503 to everything", scripts=_scripts)
