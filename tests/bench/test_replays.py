"""Replays of recorded traffic: what they draw is what was recorded. Skipped where there is none."""

from itertools import pairwise

import pytest
from failover_lab.catalogue import scenario_named
from failover_lab.replays import REPLAYS, Recorded, RecordedLoad, traffic_folder
from failover_lab.staged import Staged, staged

from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script

needs_traffic = pytest.mark.skipif(
    not traffic_folder().is_dir(),
    reason="no recorded traffic: set STREAMROUTE_SHARED_DATA to the folder that has traffic/",
)


def stage(name: str) -> Staged:
    """Return a replay as the simulation plays it."""
    return staged(scenario_named(name))


@needs_traffic
@pytest.mark.parametrize("name", REPLAYS)
def test_replays_are_scenarios_like_others(name: str) -> None:
    """The same seed gives the same requests, and the providers are three."""
    made = stage(name)
    assert made.name == name
    assert list(made.truth) == ["a", "b", "c"]
    requests = list(made.load.arrivals(1, 60.0))
    assert requests == list(made.load.arrivals(1, 60.0))
    assert [each.ordinal for each in requests] == list(range(len(requests)))


@needs_traffic
def test_recorded_first_tokens() -> None:
    """The heavy tail is that of the recording: a hundredth of the first tokens after a minute and more, few errors."""
    script = stage("replay_heavy_tail").scripts(2)["a"]
    drawn = sorted(script.timeline(elapsed_s=1.0, ordinal=i, tokens=5).ttft_s or 0.0 for i in range(4000))
    assert drawn[2000] == pytest.approx(0.55, abs=0.02)
    assert 0.005 < sum(each > 50.0 for each in drawn) / len(drawn) < 0.04


@needs_traffic
def test_recorded_arrivals_vary_as_much() -> None:
    """Azure's code completion: some 2.6 requests a second, in bursts."""
    load = stage("replay_code_arrivals").load
    times = [each.at_s for each in load.arrivals(0, 3000.0)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(0.39, abs=0.06)
    assert (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5 / mean > 8


def test_a_recording_begins_anew_when_it_ends() -> None:
    """Requests go on at the pace of the recording; sizes alone can be taken from it, too."""
    recorded = ((0.0, 10, 1), (1.0, 20, 2), (4.0, 30, 3))
    timed = [(each.at_s, each.prompt_tokens) for each in RecordedLoad(recorded=recorded).arrivals(0, 9.0)]
    assert len(timed) >= 5
    assert all(later >= earlier for (earlier, _), (later, _) in pairwise(timed))
    sizes = {each.prompt_tokens for each in RecordedLoad(recorded=recorded, is_timed=False).arrivals(0, 9.0)}
    assert sizes == {10, 20, 30}


def test_recorded_errors_come_in_their_order() -> None:
    """Each request meets the next code of the recording."""
    fault = Recorded(codes=("", "429", "-1", "500"))
    script = Script.of(fault, profile=Profile(ttft_s=0.5))
    statuses = [script.timeline(elapsed_s=0.0, ordinal=i, tokens=5).status for i in range(5)]
    assert statuses == [200, 429, None, 500, 200]
    assert script.severity_at(0.0).failing == 0.75
