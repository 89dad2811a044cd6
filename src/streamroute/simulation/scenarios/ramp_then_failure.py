"""Scenario `ramp_then_failure`: the preferred provider slows down sixfold, then fails: what prediction is for."""

from streamroute.simulation.faults import Drift, ErrorStatus
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Phase, Script


def _ramp_then_failure(seed: int, timing: Timing) -> dict[str, Script]:
    return cast(
        "ramp_then_failure",
        seed,
        timing,
        {
            "a": (
                Phase(
                    from_s=timing.trouble_from_s,
                    until_s=timing.at(0.5),
                    fault=Drift(factor=6.0, over_s=timing.trouble_s / 2),
                ),
                Phase(from_s=timing.at(0.5), until_s=timing.trouble_until_s, fault=ErrorStatus(status=500)),
            )
        },
    )


RAMP_THEN_FAILURE = Scenario(
    name="ramp_then_failure", title="a slows down six times over a minute, then answers 500", scripts=_ramp_then_failure
)
