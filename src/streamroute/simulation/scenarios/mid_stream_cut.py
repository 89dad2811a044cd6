"""Scenario `mid_stream_cut`: connections break in the middle of answers, after a random token."""

from streamroute.simulation.faults import Cut
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _mid_stream_cut(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("mid_stream_cut", seed, timing, {"a": (during(timing, Cut(at_random=True)),)})


MID_STREAM_CUT = Scenario(
    name="mid_stream_cut", title="the connections of a break in the middle of answers", scripts=_mid_stream_cut
)
