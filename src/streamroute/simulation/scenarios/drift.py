"""Scenario `drift`: the preferred provider slows down until it fails, as many do before an outage."""

from streamroute.simulation.faults import Drift, ErrorStatus
from streamroute.simulation.scenarios.cast import stage, trouble
from streamroute.simulation.script import Phase, Script


def drift(seed: int, time_scale: float) -> dict[str, Script]:
    """Return `a` growing eight times slower from 3 s on, and failing from 8 s to 10 s."""
    from_s, until_s = trouble(time_scale)
    fails_s = until_s - 2.0 * time_scale
    return stage(
        "drift",
        seed,
        time_scale,
        {
            "a": (
                Phase(
                    from_s=from_s,
                    until_s=fails_s,
                    fault=Drift(factor=8.0, tpot_factor=2.0, over_s=fails_s - from_s),
                ),
                Phase(from_s=fails_s, until_s=until_s, fault=ErrorStatus(status=500)),
            )
        },
    )
