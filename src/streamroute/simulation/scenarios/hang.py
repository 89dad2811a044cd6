"""Scenarios `hang` and `hang_half`: the preferred provider takes requests and says nothing at all."""

from streamroute.simulation.faults import NoResponse
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _hang(name: str, title: str, share: float) -> Scenario:
    def scripts(seed: int, timing: Timing) -> dict[str, Script]:
        return cast(name, seed, timing, {"a": (during(timing, NoResponse(), probability=share),)})

    return Scenario(name=name, title=title, scripts=scripts)


HANGS = (
    _hang("hang", "a takes requests and never answers", 1.0),
    _hang("hang_half", "a never answers half of its requests", 0.5),
)
