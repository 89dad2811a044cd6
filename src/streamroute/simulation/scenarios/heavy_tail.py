"""Scenario `heavy_tail`: the preferred provider is always good for a wait of half a minute: 2 % of its first tokens.

Together's 13b model in llmperf's public results had a p99 of 50 to 100 s over a median of half a second.
"""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    tail = {"ttft_tail_share": 0.02, "ttft_tail_factor": (45.0, 130.0)}
    return cast("heavy_tail", seed, timing, a=tail)


HEAVY_TAIL = Scenario(
    name="heavy_tail",
    title="2 % of the first tokens of a, which is preferred, take 20 to 60 s, always",
    scripts=_scripts,
    faulty=(),
    load=Load(steering="preferred"),
)
