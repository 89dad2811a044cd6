"""Scenario `incident_replay`: the course of a usual incident of a provider, as status pages tell it, compressed.

Raised latency first, then more and more errors, a full outage, a partial fix, a relapse, and the recovery.
"""

from itertools import pairwise

from streamroute.simulation.faults import Drift, ErrorStatus, NoResponse, Slow
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Phase, Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    ends = [timing.at(share) for share in (0.0, 0.25, 0.4, 0.6, 0.75, 0.85, 1.0)]
    latency, errors, outage, fix, relapse, tail = pairwise(ends)

    def phase(part: tuple[float, float], fault: Drift | ErrorStatus | NoResponse | Slow, share: float = 1.0) -> Phase:
        return Phase(from_s=part[0], until_s=part[1], fault=fault, probability=share)

    down = ErrorStatus(status=503)
    return cast(
        "incident_replay",
        seed,
        timing,
        {
            "a": (
                phase(latency, Drift(factor=3.0, over_s=latency[1] - latency[0])),
                phase(errors, ErrorStatus(status=500), 0.3),
                phase(errors, Slow(factor=3.0)),
                phase(outage, NoResponse(), 0.2),
                phase(outage, down),
                phase(fix, down, 0.1),
                phase(fix, Slow(factor=1.5)),
                phase(relapse, down, 0.8),
                phase(tail, ErrorStatus(status=500), 0.02),
            )
        },
    )


INCIDENT_REPLAY = Scenario(
    name="incident_replay", title="a real kind of incident: latency, errors, outage, relapse", scripts=_scripts
)
