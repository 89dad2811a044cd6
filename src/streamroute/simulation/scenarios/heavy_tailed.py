"""Scenario `heavy_tailed`: the preferred provider is always good for a wait of a minute: 2 % of its first tokens.

Together's 13b model in llmperf's public results had a p99 of 50 to 100 s over a median of half a second.
"""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    tail = {"ttft_tail_share": 0.02, "ttft_tail_factor": (40.0, 250.0)}
    return cast("heavy_tailed", seed, timing, a=tail)


HEAVY_TAILED = Scenario(
    name="heavy_tailed", title="2 % of the first tokens of a take up to two minutes, always", scripts=_scripts
)
