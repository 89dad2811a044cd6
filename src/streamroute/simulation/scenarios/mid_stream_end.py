"""Scenario `mid_stream_end`: answers end too early, half of them without a word, half with an error event."""

from streamroute.simulation.faults import Cut, StreamError
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _mid_stream_end(seed: int, timing: Timing) -> dict[str, Script]:
    return cast(
        "mid_stream_end",
        seed,
        timing,
        {
            "a": (
                during(timing, Cut(at_random=True, how="eof"), probability=0.5),
                during(timing, StreamError(at_random=True)),
            )
        },
    )


MID_STREAM_END = Scenario(
    name="mid_stream_end", title="the answers of a end too early, or in an error event", scripts=_mid_stream_end
)
