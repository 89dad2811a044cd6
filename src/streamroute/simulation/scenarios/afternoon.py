"""Scenario `afternoon`: one trouble after another, for people to watch."""

from streamroute.simulation.faults import Drift, ErrorStatus, RateLimit, Reset
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Phase, Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    first, second = timing.at(1 / 3), timing.at(2 / 3)
    limit = RateLimit(retry_after_s=timing.scale, form="ms")
    return cast(
        "afternoon",
        seed,
        timing,
        {
            "a": (
                Phase(
                    from_s=timing.trouble_from_s, until_s=first, fault=Drift(factor=6.0, over_s=timing.trouble_s / 3)
                ),
                Phase(from_s=first, until_s=second, fault=limit),
                Phase(from_s=second, until_s=timing.trouble_until_s, probability=0.4, fault=Reset()),
                Phase(from_s=second, until_s=timing.trouble_until_s, fault=ErrorStatus(status=503)),
            ),
            "b": (Phase(from_s=first, until_s=second, probability=0.5, fault=limit),),
        },
    )


AFTERNOON = Scenario(
    name="afternoon", title="a drifts, a and b limit rates, a is down", scripts=_scripts, faulty=("a", "b")
)
