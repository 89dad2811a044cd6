"""Scenario `domain_failure`: what runs in one place fails together: two of three providers, `a` and `b`."""

from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    down = during(timing, ErrorStatus(status=503))
    return cast("domain_failure", seed, timing, {"a": (down,), "b": (down,)})


DOMAIN_FAILURE = Scenario(
    name="domain_failure", title="a and b fail together, c is well", scripts=_scripts, faulty=("a", "b")
)
