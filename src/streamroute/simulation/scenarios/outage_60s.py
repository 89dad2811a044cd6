"""Scenario `outage_60s`: an outage half as long as the others (60 s in the benchmark), then all is well."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, down, part
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("outage_60s", seed, timing, {"a": (part(timing, 0.0, 0.5, down(timing)),)})


OUTAGE_60S = Scenario(
    name="outage_60s",
    title="a, which is preferred, is down for a minute and comes back",
    scripts=_scripts,
    load=Load(steering="preferred"),
)
