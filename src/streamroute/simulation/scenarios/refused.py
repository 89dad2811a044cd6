"""Scenarios `refused` and `reset`: no connection, or one that breaks before any answer."""

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Refuse, Reset
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _broken(name: str, title: str, fault: Fault) -> Scenario:
    def scripts(seed: int, timing: Timing) -> dict[str, Script]:
        return cast(name, seed, timing, {"a": (during(timing, fault),)})

    return Scenario(name=name, title=title, scripts=scripts)


NO_CONNECTIONS = (
    _broken("refused", "a refuses connections", Refuse()),
    _broken("reset", "a resets connections before it answers", Reset()),
)
