"""Scenarios `none` and `none_<rate>`: nothing goes wrong. Whatever is done here is done for nothing."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load

_REQUESTS = 5_000
"""Of one seed: 20 seeds make the 100,000 of the targets."""


def _none(name: str, rps: float) -> Scenario:
    def scripts(seed: int, timing: Timing) -> dict[str, Script]:
        return cast(name, seed, timing)

    return Scenario(
        name=name,
        title=f"all are well, at {rps:g} requests a second",
        scripts=scripts,
        faulty=(),
        load=Load(rps=rps),
        requests=_REQUESTS,
    )


NONE = (_none("none", 5.0), *(_none(f"none_{rps:g}", rps) for rps in (0.1, 1.0, 50.0)))
