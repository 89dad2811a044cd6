"""Scenarios: complete, seeded, scalable."""

import math

import pytest

from streamroute.simulation.scenarios import SCENARIOS
from streamroute.simulation.script import Script

ALL = pytest.mark.parametrize("name", SCENARIOS)


@ALL
def test_three_providers_with_their_own_seeds(name: str) -> None:
    """Each scenario has a, b and c; the same seed gives the same scripts."""
    scripts = SCENARIOS[name](7, 1.0)
    assert list(scripts) == ["a", "b", "c"]
    assert scripts == SCENARIOS[name](7, 1.0)
    assert (
        len({script.seed for script in scripts.values()} | {script.seed for script in SCENARIOS[name](8, 1.0).values()})
        == 6
    )


@ALL
def test_trouble_begins_late_and_ends(name: str) -> None:
    """Estimates can settle first, and recovery can be watched: every fault lies between 3 s and 12 s."""
    phases = [phase for script in SCENARIOS[name](0, 1.0).values() for phase in script.phases]
    assert bool(phases) == (name != "healthy")
    assert all(3 <= phase.from_s < phase.until_s <= 12 for phase in phases)


@ALL
def test_time_scale_scales_everything(name: str) -> None:
    """At a tenth of the time the same requests meet the same phases."""
    for whole, tenth in zip(SCENARIOS[name](3, 1.0).values(), SCENARIOS[name](3, 0.1).values(), strict=True):
        assert math.isclose(tenth.profile.ttft_s, whole.profile.ttft_s / 10)
        assert [_phase(whole, i / 10, i) for i in range(150)] == [_phase(tenth, i / 100, i) for i in range(150)]


def test_time_scale_is_above_zero() -> None:
    """Time does not stand still."""
    with pytest.raises(ValueError, match="time_scale must be above 0"):
        SCENARIOS["healthy"](0, 0)


@ALL
def test_one_provider_stays_well(name: str) -> None:
    """A router can always find an answer, but for partial errors, where a second try finds one."""
    scripts = SCENARIOS[name](0, 1.0)
    assert any(not script.phases for script in scripts.values()) == (name != "partial_errors")


def _phase(script: Script, elapsed_s: float, ordinal: int) -> int | None:
    return script.phase_of(elapsed_s=elapsed_s + 1e-9, ordinal=ordinal, model="m", stream=True)
