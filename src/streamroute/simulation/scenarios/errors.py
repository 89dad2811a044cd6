"""Scenarios `errors_5`, `errors_20`, `errors_50`: a part of the answers of the preferred provider are errors."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import broken, cast, during
from streamroute.simulation.script import Script


def _errors(percent: int) -> Scenario:
    name = f"errors_{percent}"

    def scripts(seed: int, timing: Timing) -> dict[str, Script]:
        return cast(name, seed, timing, {"a": (during(timing, broken(timing), probability=percent / 100),)})

    return Scenario(name=name, title=f"a answers {percent} % of its requests with 500", scripts=scripts)


ERRORS = tuple(_errors(percent) for percent in (5, 20, 50))
