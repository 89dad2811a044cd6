"""Scenario `slow_clients`: a third of the clients read slowly; no provider is to blame for answers that take long."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("slow_clients", seed, timing)


SLOW_CLIENTS = Scenario(
    name="slow_clients",
    title="a third of the clients read slowly, all are well",
    scripts=_scripts,
    faulty=(),
    load=Load(slow_client_share=1 / 3),
)
