"""Scenario `outage_60s`: an outage half as long as the others (60 s in the benchmark), then all is well."""

from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Phase, Script


def _outage_60s(seed: int, timing: Timing) -> dict[str, Script]:
    return cast(
        "outage_60s",
        seed,
        timing,
        {"a": (Phase(from_s=timing.trouble_from_s, until_s=timing.at(0.5), fault=ErrorStatus(status=503)),)},
    )


OUTAGE_60S = Scenario(name="outage_60s", title="a is down for a minute and comes back", scripts=_outage_60s)
