"""Scenario `connection_refused`: no connection, or one that breaks before any answer."""

from streamroute.simulation.faults import Refuse, Reset
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _connection_refused(seed: int, timing: Timing) -> dict[str, Script]:
    return cast(
        "connection_refused", seed, timing, {"a": (during(timing, Refuse(), probability=0.5), during(timing, Reset()))}
    )


CONNECTION_REFUSED = Scenario(
    name="connection_refused", title="a refuses or resets connections", scripts=_connection_refused
)
