"""Severity: what faults and scripts say of themselves is what their timelines tell."""

import pytest

from streamroute.cli.demo_fault import InTurn
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, Drift, ErrorStatus, Flapping, Slow, Stall
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Phase, Script
from streamroute.simulation.severity import ALL_FAIL, NO_HARM, Severity, mixed
from tests.simulation.test_timeline import FAULT_EXAMPLES

PROFILE = Profile(ttft_s=0.5, tpot_s=0.02)


@pytest.mark.parametrize("fault", [fault for fault in FAULT_EXAMPLES if fault is not None], ids=repr)
def test_a_fault_is_as_bad_as_it_says(fault: Fault) -> None:
    """Shares of failures and of what is far too late, and how slow the rest is, of many requests at one time."""
    script, usual = Script.of(fault, profile=PROFILE), Script(profile=PROFILE)
    severity = fault.severity(7.0)
    told = [script.timeline(elapsed_s=7.0, ordinal=i, tokens=20) for i in range(60)]
    well = usual.timeline(elapsed_s=7.0, ordinal=0, tokens=20)
    good = [one for one in told if one.is_good]
    assert 1 - len(good) / len(told) == pytest.approx(severity.failing)
    if good:
        late = [(one.ttft_s or 0.0) > 4 * (well.ttft_s or 0.0) or one.max_gap_s() > 1.0 for one in good]
        assert sum(late) / len(good) == pytest.approx(severity.late)
        if not any(late):
            assert good[0].ttft_s == pytest.approx(severity.slow * (well.ttft_s or 0.0))
            assert good[0].tpot_s == pytest.approx(severity.pace * well.tpot_s)


def test_what_depends_on_numbers_counts_on_average() -> None:
    """A severity is of a time: what goes by the number of a request is told as its share, or as what it comes to."""
    assert Flapping(every_requests=3).severity(0.0) == Severity(failing=0.5)
    assert Drift(factor=3.0, over_requests=10).severity(0.0).slow == 3.0
    assert InTurn(faults=(Cut(), Stall(for_s=1.0)), every=5).severity(0.0) == Severity(failing=0.1, late=0.1 / 0.9)


def test_phases_share_the_requests_in_their_order() -> None:
    """The first phase takes its share, the next one that of the rest; one without a fault keeps it from them."""
    script = Script(
        profile=PROFILE,
        phases=(
            Phase(from_s=10.0, until_s=20.0, probability=0.5, fault=ErrorStatus()),
            Phase(from_s=10.0, until_s=20.0, probability=0.5, fault=None),
            Phase(from_s=10.0, until_s=30.0, fault=Slow(factor=3.0)),
        ),
    )
    assert script.severity_at(9.9) == NO_HARM
    assert script.severity_at(15.0).failing == 0.5
    assert script.severity_at(15.0).slow == pytest.approx(2.0)
    assert script.severity_at(25.0) == Severity(slow=3.0)
    assert script.troubles() == [(10.0, 30.0)]


def test_troubles_apart_are_told_apart() -> None:
    """Spans that meet are one; a phase in which all is as usual is none; another profile is trouble too."""
    cold = Profile(capacity_rps=1.0)
    script = Script(
        phases=(
            Phase(from_s=40.0, until_s=50.0, profile=cold),
            Phase(from_s=10.0, until_s=20.0, fault=Cut()),
            Phase(from_s=20.0, until_s=25.0, fault=Stall()),
            Phase(from_s=70.0, until_s=80.0),
        )
    )
    assert script.troubles() == [(10.0, 25.0), (40.0, 50.0)]
    assert (script.profile_at(45.0), script.profile_at(50.0)) == (cold, script.profile)


def test_mixing() -> None:
    """Where all fail there is nobody whose times could be told; where nobody is hit, nothing is."""
    assert mixed([(1.0, ALL_FAIL)]) == ALL_FAIL
    assert mixed([]).is_none
    assert not mixed([(0.01, ALL_FAIL)]).is_none
