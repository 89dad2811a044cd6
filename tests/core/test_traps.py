"""Traps that health boards fall into: seeded traffic, the board's API only."""

from math import inf

import pytest

from tests.support.health_load import Load


@pytest.mark.parametrize(("rate", "requests", "most"), [(0.1, 2000, 17), (5.0, 20000, 4), (50.0, 20000, 2)])
def test_health_raises_few_false_alarms(rate: float, requests: int, most: int) -> None:
    """About one false steer an hour and upstream at most, and no breaker opens by chance."""
    load = Load(1, rate=rate)
    load.run(requests / rate)
    assert len(load.seen.steers) <= most
    assert load.seen.opens == []


@pytest.mark.parametrize(("factor", "within_s"), [(inf, 4.0), (3.0, 5.0)])
def test_trouble_shows_while_calls_are_under_way(factor: float, within_s: float) -> None:
    """A hang, or three times slower, moves traffic long before any timeout ends a call."""
    for seed in range(5):
        load = Load(seed, rate=5.0)
        load.run(200.0)
        load.run(215.0, lambda who, _at: factor if who.id == "u0" else 1.0)
        assert load.seen.first_steer_s("u0", 200.0) <= within_s
