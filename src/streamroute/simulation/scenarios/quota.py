"""Scenario `quota`: the preferred provider counts down its quota in headers, and means it.

The quota is about half of what it would be asked for, in windows of half of the trouble (a minute in the benchmark).
"""

from dataclasses import replace

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during, well
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load

_LOAD = Load()
_SHARE = 0.2
"""Of all requests; as the quickest of three it would get 0.4 of them."""


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    window_s = timing.trouble_s / 2
    limit = max(1, round(_LOAD.rps * window_s * _SHARE))
    profile = replace(well("a", timing), limit_requests=limit, limit_window_s=window_s)
    return cast("quota", seed, timing, {"a": (during(timing, None, profile=profile),)})


QUOTA = Scenario(
    name="quota", title="the quota of a runs out in every window, as its headers say", scripts=_scripts, load=_LOAD
)
