"""Every scenario by its name. A new one is a file and a line here.

A scenario gives a script for each of three providers, `a`, `b` and `c`, as a function of a seed and a time scale
(1: real time, about 15 s; 0.2: five times as fast). It always leaves one provider that is well, but for
`partial_errors`.
"""

from collections.abc import Callable

from streamroute.simulation.scenarios.afternoon import afternoon
from streamroute.simulation.scenarios.drift import drift
from streamroute.simulation.scenarios.flapping import flapping
from streamroute.simulation.scenarios.hang import hang
from streamroute.simulation.scenarios.healthy import healthy
from streamroute.simulation.scenarios.mid_stream_cut import mid_stream_cut
from streamroute.simulation.scenarios.outage import outage
from streamroute.simulation.scenarios.partial_errors import partial_errors
from streamroute.simulation.scenarios.rate_limit_storm import rate_limit_storm
from streamroute.simulation.script import Script

Scenario = Callable[[int, float], dict[str, Script]]
"""(seed, time_scale above 0) -> the script of each provider."""

SCENARIOS: dict[str, Scenario] = {
    "healthy": healthy,
    "outage": outage,
    "rate_limit_storm": rate_limit_storm,
    "drift": drift,
    "hang": hang,
    "mid_stream_cut": mid_stream_cut,
    "flapping": flapping,
    "partial_errors": partial_errors,
    "afternoon": afternoon,
}

__all__ = ["SCENARIOS", "Scenario"]
