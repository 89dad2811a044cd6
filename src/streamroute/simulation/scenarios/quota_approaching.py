"""Scenario `quota_approaching`: the preferred provider counts down its quota in headers, and means it.

The quota is two thirds of what the load asks for, in windows of a quarter of the trouble.
"""

from dataclasses import replace

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during, well
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load

_LOAD = Load()


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    window_s = timing.trouble_s / 4
    limit = max(1, round(_LOAD.rps * window_s * 2 / 3))
    profile = replace(well("a", timing), limit_requests=limit, limit_window_s=window_s)
    return cast("quota_approaching", seed, timing, {"a": (during(timing, None, profile=profile),)})


QUOTA_APPROACHING = Scenario(
    name="quota_approaching",
    title="the quota of a runs out in every window, as its headers say",
    scripts=_scripts,
    load=_LOAD,
)
