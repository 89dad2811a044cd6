"""Scenario `domain`: what runs in one place fails together: two of three providers, `a` and `b`."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, down, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("domain", seed, timing, {each: (during(timing, down(timing)),) for each in "ab"})


DOMAIN = Scenario(
    name="domain",
    title="a and b share a cloud region, which fails",
    scripts=_scripts,
    faulty=("a", "b"),
    domains={"a": "region", "b": "region"},
)
