"""Scenario `stream_error`: answers end in an error event under status 200."""

from streamroute.simulation.faults import StreamError
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("stream_error", seed, timing, {"a": (during(timing, StreamError(at_random=True), probability=0.5),)})


STREAM_ERROR = Scenario(name="stream_error", title="half of the answers of a end with an error event", scripts=_scripts)
