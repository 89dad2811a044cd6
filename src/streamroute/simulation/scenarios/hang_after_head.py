"""Scenario `hang_after_head`: status 200 and a role delta, then silence. Checks of the status line see nothing."""

from streamroute.simulation.faults import NoResponse
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("hang_after_head", seed, timing, {"a": (during(timing, NoResponse(after="role")),)})


HANG_AFTER_HEAD = Scenario(name="hang_after_head", title="a begins its answers and never says a word", scripts=_scripts)
