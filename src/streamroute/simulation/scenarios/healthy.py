"""Scenario `healthy`: nothing goes wrong. The baseline of every comparison."""

from streamroute.simulation.scenarios.cast import stage
from streamroute.simulation.script import Script


def healthy(seed: int, time_scale: float) -> dict[str, Script]:
    """Return three providers that are well throughout."""
    return stage("healthy", seed, time_scale)
