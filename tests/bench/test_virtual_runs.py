"""Runs of the whole application in virtual time: the same to the bit for a seed."""

from dataclasses import replace

import pytest
from failover_lab.scenarios import SCENARIOS
from failover_lab.stage import scripts
from failover_lab.weather import Condition, Provider, Segment, Weather

from streamroute.simulation.script import Script

pytest.importorskip("async_solipsism")
from failover_lab.sidecar import cut_short, run_sidecar, trace


def script(condition: Condition) -> Script:
    """Return the script of a provider with that condition from 10 s to 20 s."""
    provider = Provider(name="a", weather=Weather(segments=[Segment(from_s=10.0, until_s=20.0, condition=condition)]))
    return scripts(replace(SCENARIOS["hang"], providers=(provider,)), 0)["a"]


def test_two_runs_of_a_seed_are_the_same() -> None:
    """Nothing depends on the machine, the wall clock or an unseeded draw; every client gets its text, once."""
    scenario = replace(cut_short(SCENARIOS["hang"], "virtual"), ends_s=2.0)
    first, again = (run_sidecar(scenario, "streamroute", 1, mode="virtual") for _ in range(2))
    assert len(first.requests) > 3
    assert all(each.is_whole and not each.lost_chars and not each.repeated_chars for each in first.requests)
    assert trace(first) == trace(again)


def test_peers_run_in_the_simulation_only() -> None:
    """The application has its own policy: a figure of another one would be a lie."""
    with pytest.raises(ValueError, match="consecutive_5"):
        run_sidecar(SCENARIOS["hang"], "consecutive_5", 0, mode="virtual")


@pytest.mark.parametrize(
    ("condition", "status", "is_good"),
    [
        (Condition(), 200, True),
        (Condition(error=1.0), 503, False),
        (Condition(limited=1.0, retry_after_s=3.0), 429, False),
        (Condition(auth=1.0), 401, False),
        (Condition(cut=1.0), 200, False),
        (Condition(stall=1.0), 200, False),
    ],
)
def test_scripts_play_the_conditions(condition: Condition, status: int, is_good: bool) -> None:
    """What is wrong in the simulation is wrong with the simulated providers too, and for as long."""
    during = script(condition).timeline(elapsed_s=15.0, ordinal=3, tokens=20)
    after = script(condition).timeline(elapsed_s=20.0, ordinal=4, tokens=20)
    assert (during.status, during.is_good) == (status, is_good)
    assert after.is_good


def test_scripts_slow_down_as_much() -> None:
    """Three times as slow is three times as slow, and a ramp is halfway up in its middle."""
    well = script(Condition()).timeline(elapsed_s=15.0, ordinal=3, tokens=20).ttft_s
    slow = script(Condition(slow=3.0)).timeline(elapsed_s=15.0, ordinal=3, tokens=20).ttft_s
    ramp = script(Condition(slow_to=6.0)).timeline(elapsed_s=15.0, ordinal=3, tokens=20).ttft_s
    assert well is not None
    assert slow == pytest.approx(3 * well)
    assert ramp == pytest.approx(3.5 * well)
