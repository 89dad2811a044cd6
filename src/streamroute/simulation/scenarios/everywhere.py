"""Scenarios `all_30_errors` and `all_slow_3x`: every provider is as bad as the others. None is worth leaving."""

from collections.abc import Callable

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Slow
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import broken, cast, during
from streamroute.simulation.script import Script


def _everywhere(name: str, title: str, fault: Callable[[Timing], Fault], share: float) -> Scenario:
    def scripts(seed: int, timing: Timing) -> dict[str, Script]:
        phases = (during(timing, fault(timing), probability=share),)
        return cast(name, seed, timing, {"a": phases, "b": phases, "c": phases})

    return Scenario(name=name, title=title, scripts=scripts, faulty=("a", "b", "c"))


EVERYWHERE = (
    _everywhere("all_30_errors", "every provider fails 30 % of its requests", broken, 0.3),
    _everywhere("all_slow_3x", "every provider is three times as slow", lambda _: Slow(factor=3.0), 1.0),
)
