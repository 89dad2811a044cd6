"""Scenarios `healthy` and `healthy_<rate>`: nothing goes wrong. Whatever is done here is done for nothing."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("healthy", seed, timing)


def _healthy(rps: float) -> Scenario:
    return Scenario(
        name=f"healthy_{rps:g}rps".replace(".", "_"),
        title=f"all are well, at {rps:g} requests a second",
        scripts=_scripts,
        faulty=(),
        load=Load(rps=rps),
    )


HEALTHY = (
    Scenario(name="healthy", title="all are well", scripts=_scripts, faulty=()),
    *(_healthy(rps) for rps in (0.1, 1.0, 50.0)),
)
