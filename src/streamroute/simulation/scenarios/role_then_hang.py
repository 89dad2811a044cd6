"""Scenario `role_then_hang`: status 200 and a role delta, then silence. Checks of the status line see nothing."""

from streamroute.simulation.faults import NoResponse
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _role_then_hang(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("role_then_hang", seed, timing, {"a": (during(timing, NoResponse(after="role")),)})


ROLE_THEN_HANG = Scenario(
    name="role_then_hang", title="a begins its answers and never says a word", scripts=_role_then_hang
)
