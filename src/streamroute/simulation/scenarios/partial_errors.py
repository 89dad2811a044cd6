"""Scenario `partial_errors`: every provider fails now and then, none is down. Half of real incidents look like this."""

from streamroute.simulation.faults import EmptyAnswer, ErrorStatus, MalformedEvent, StreamError
from streamroute.simulation.scenarios.cast import stage, trouble
from streamroute.simulation.script import Phase, Script


def partial_errors(seed: int, time_scale: float) -> dict[str, Script]:
    """Return `a` failing about half, `b` 10 % and `c` 5 % of their requests from 3 s to 10 s."""
    from_s, until_s = trouble(time_scale)
    return stage(
        "partial_errors",
        seed,
        time_scale,
        {
            "a": (
                Phase(from_s=from_s, until_s=until_s, probability=0.2, fault=ErrorStatus(status=500)),
                Phase(from_s=from_s, until_s=until_s, probability=0.15, fault=StreamError()),
                Phase(from_s=from_s, until_s=until_s, probability=0.1, fault=EmptyAnswer()),
                Phase(from_s=from_s, until_s=until_s, probability=0.2, fault=MalformedEvent()),
            ),
            "b": (Phase(from_s=from_s, until_s=until_s, probability=0.1, fault=ErrorStatus(status=529)),),
            "c": (Phase(from_s=from_s, until_s=until_s, probability=0.05, fault=ErrorStatus(status=503)),),
        },
    )
