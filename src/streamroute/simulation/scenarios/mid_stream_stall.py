"""Scenario `mid_stream_stall`: answers fall silent for good after a random token."""

from streamroute.simulation.faults import Stall
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _mid_stream_stall(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("mid_stream_stall", seed, timing, {"a": (during(timing, Stall(at_random=True)),)})


MID_STREAM_STALL = Scenario(
    name="mid_stream_stall", title="the answers of a fall silent in the middle", scripts=_mid_stream_stall
)
