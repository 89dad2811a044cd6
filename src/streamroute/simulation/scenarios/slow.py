"""Scenarios `slow_1_5x`, `slow_2x`, `slow_3x`: a step in the time to the first token, and no error at all."""

from streamroute.simulation.faults import Slow
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _slow(factor: float) -> Scenario:
    name = f"slow_{factor:g}x".replace(".", "_")

    def scripts(seed: int, timing: Timing) -> dict[str, Script]:
        return cast(name, seed, timing, {"a": (during(timing, Slow(factor=factor)),)})

    return Scenario(name=name, title=f"the first tokens of a take {factor:g} times as long", scripts=scripts)


SLOW = tuple(_slow(factor) for factor in (1.5, 2.0, 3.0))
