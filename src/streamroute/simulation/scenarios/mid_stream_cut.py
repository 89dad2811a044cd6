"""Scenario `mid_stream_cut`: answers of the preferred provider break in the middle, in every way."""

from streamroute.simulation.faults import Cut, Stall
from streamroute.simulation.scenarios.cast import stage, trouble
from streamroute.simulation.script import Phase, Script


def mid_stream_cut(seed: int, time_scale: float) -> dict[str, Script]:
    """Return `a` cutting (reset, close, bare end) or stalling after some tokens from 3 s to 10 s."""
    from_s, until_s = trouble(time_scale)
    return stage(
        "mid_stream_cut",
        seed,
        time_scale,
        {
            "a": (
                Phase(from_s=from_s, until_s=until_s, probability=0.4, fault=Cut(at_token=12)),
                Phase(from_s=from_s, until_s=until_s, probability=0.5, fault=Cut(at_token=6, how="close")),
                Phase(from_s=from_s, until_s=until_s, probability=0.5, fault=Cut(at_token=24, how="eof")),
                Phase(from_s=from_s, until_s=until_s, fault=Stall(at_token=9)),
            )
        },
    )
