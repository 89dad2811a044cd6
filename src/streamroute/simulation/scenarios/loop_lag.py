"""Scenario `loop_lag`: our own event loop stands still again and again; everybody looks slow, nobody is to blame."""

from streamroute.simulation.scenario import Pause, Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Script

_PAUSES = 10
_PAUSE_S = 2.0
"""Longer than most first tokens take: a large garbage collection, a blocking call, a machine without time for us."""


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("loop_lag", seed, timing)


def _pauses(timing: Timing) -> tuple[Pause, ...]:
    return tuple(Pause(at_s=timing.at(turn / _PAUSES), for_s=_PAUSE_S * timing.scale) for turn in range(_PAUSES))


LOOP_LAG = Scenario(
    name="loop_lag",
    title="our event loop stands still for 2 s, ten times over; all are well",
    scripts=_scripts,
    faulty=(),
    is_ours=True,
    pauses=_pauses,
)
