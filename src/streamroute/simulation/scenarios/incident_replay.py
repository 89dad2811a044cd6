"""Scenario `incident_replay`: the course of a usual incident of a provider, as status pages tell it, compressed.

Raised latency first, then more and more errors, a full outage, a partial fix, a relapse, and the recovery.
"""

from streamroute.simulation.faults import Drift, NoResponse, Slow
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import broken, cast, down, part
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast(
        "incident_replay",
        seed,
        timing,
        {
            "a": (
                part(timing, 0.0, 0.25, Drift(factor=3.0, over_s=timing.trouble_s / 4)),
                part(timing, 0.25, 0.4, broken(timing), probability=0.3),
                part(timing, 0.25, 0.4, Slow(factor=3.0)),
                part(timing, 0.4, 0.6, NoResponse(), probability=0.2),
                part(timing, 0.4, 0.6, down(timing)),
                part(timing, 0.6, 0.75, down(timing), probability=0.1),
                part(timing, 0.6, 0.75, Slow(factor=1.5)),
                part(timing, 0.75, 0.85, down(timing), probability=0.8),
                part(timing, 0.85, 1.0, broken(timing), probability=0.02),
            )
        },
    )


INCIDENT_REPLAY = Scenario(
    name="incident_replay", title="a real kind of incident: latency, errors, outage, relapse", scripts=_scripts
)
