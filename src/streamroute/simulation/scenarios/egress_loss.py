"""Scenario `egress_loss`: our own way out is cut for a while (30 s): nobody can be reached, nobody is to blame."""

from streamroute.simulation.faults import Refuse
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Phase, Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    cut = (Phase(from_s=timing.trouble_from_s, until_s=timing.at(0.25), fault=Refuse()),)
    return cast("egress_loss", seed, timing, {"a": cut, "b": cut, "c": cut})


EGRESS_LOSS = Scenario(
    name="egress_loss", title="no provider can be reached for 30 s", scripts=_scripts, faulty=("a", "b", "c")
)
