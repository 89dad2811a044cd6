"""Scenario `tail_growth`: the median stays, but more and more requests wait twenty times as long."""

from streamroute.simulation.faults import HeavyTail
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("tail_growth", seed, timing, {"a": (during(timing, HeavyTail(over_s=timing.trouble_s / 2)),)})


TAIL_GROWTH = Scenario(
    name="tail_growth", title="0.5 %, then 5 % of the first tokens of a come very late", scripts=_scripts
)
