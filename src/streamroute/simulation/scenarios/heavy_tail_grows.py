"""Scenario `heavy_tail_grows`: the median stays, but more and more requests wait twenty times as long."""

from streamroute.simulation.faults import HeavyTail
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _heavy_tail_grows(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("heavy_tail_grows", seed, timing, {"a": (during(timing, HeavyTail(over_s=timing.trouble_s / 2)),)})


HEAVY_TAIL_GROWS = Scenario(
    name="heavy_tail_grows", title="0.5 %, then 5 % of the first tokens of a come very late", scripts=_heavy_tail_grows
)
