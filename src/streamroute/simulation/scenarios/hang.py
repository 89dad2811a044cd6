"""Scenario `hang`: the preferred provider takes requests and says nothing at all."""

from streamroute.simulation.faults import NoResponse
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _hang(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("hang", seed, timing, {"a": (during(timing, NoResponse()),)})


HANG = Scenario(name="hang", title="a takes requests and never answers", scripts=_hang)
