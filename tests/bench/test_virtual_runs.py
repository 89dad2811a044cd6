"""Runs of the whole application in virtual time: the same to the bit for a seed."""

from dataclasses import replace

import pytest
from failover_lab.catalogue import scenario_named
from failover_lab.staged import Staged, staged

from streamroute.simulation.scenario import Timing

pytest.importorskip("async_solipsism")
from failover_lab.sidecar import run_sidecar, trace


def short(name: str, *, trouble_from_s: float, trouble_until_s: float) -> Staged:
    """Return a scenario that ends with its trouble."""
    timing = Timing(trouble_from_s=trouble_from_s, trouble_until_s=trouble_until_s, end_s=trouble_until_s)
    return replace(staged(scenario_named(name), "virtual"), timing=timing)


def test_two_runs_of_a_seed_are_the_same() -> None:
    """Nothing depends on the machine, the wall clock or an unseeded draw; every client gets its text, once."""
    stage = short("hang", trouble_from_s=1.0, trouble_until_s=3.0)
    first, again = (run_sidecar(stage, "streamroute", 1, mode="virtual") for _ in range(2))
    arrivals = list(stage.load.arrivals(1, stage.end_s))
    assert [each.arrived_at for each in first.requests] == [each.at_s for each in arrivals]
    assert [each.output_tokens for each in first.requests] == [each.answer_tokens for each in arrivals]
    assert all(each.is_whole and not each.lost_chars and not each.repeated_chars for each in first.requests)
    assert any(call.provider == "a" and not call.tokens for each in first.requests for call in each.calls)
    assert trace(first) == trace(again)


def test_slow_clients_get_their_text_too() -> None:
    """Nobody is to blame for clients that read slowly, and nothing of their answers is lost."""
    stage = short("slow_clients", trouble_from_s=1.0, trouble_until_s=2.0)
    record = run_sidecar(stage, "streamroute", 0, mode="virtual")
    assert any(each.is_slow_client for each in stage.load.arrivals(0, stage.end_s))
    assert all(each.is_whole and not each.lost_chars for each in record.requests)


def test_peers_run_in_the_simulation_only() -> None:
    """The application has its own policy: a figure of another one would be a lie."""
    with pytest.raises(ValueError, match="consecutive_5"):
        run_sidecar(staged(scenario_named("hang")), "consecutive_5", 0, mode="virtual")
