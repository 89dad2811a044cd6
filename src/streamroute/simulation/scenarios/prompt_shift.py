"""Scenario `prompt_shift`: prompts grow ten times as long; first tokens are later, and nobody is to blame."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("prompt_shift", seed, timing)


def _load(timing: Timing) -> Load:
    return Load(prompt_factor=10.0, shift_from_s=timing.trouble_from_s, shift_until_s=timing.trouble_until_s)


PROMPT_SHIFT = Scenario(
    name="prompt_shift",
    title="prompts are ten times as long, all are well",
    scripts=_scripts,
    faulty=(),
    loads=_load,
)
