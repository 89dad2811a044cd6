"""Scenario `egress_loss`: our own way out is cut for a while (30 s): nobody can be reached, nobody is to blame."""

from streamroute.simulation.faults import Refuse
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, part
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    cut = (part(timing, 0.0, 0.25, Refuse()),)
    return cast("egress_loss", seed, timing, {"a": cut, "b": cut, "c": cut})


EGRESS_LOSS = Scenario(
    name="egress_loss",
    title="our network is gone for 30 s: no provider can be reached",
    scripts=_scripts,
    faulty=("a", "b", "c"),
    is_ours=True,
)
