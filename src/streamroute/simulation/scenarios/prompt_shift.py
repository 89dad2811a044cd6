"""Scenario `prompt_shift`: prompts grow ten times as long; first tokens are later, and nobody is to blame."""

from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load

_PER_KTOK_S = 0.08
"""Prefill at 12,500 tokens a second: the order of hosted models of 70 billion parameters."""


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    slope = {"ttft_per_ktok_s": _PER_KTOK_S * timing.scale}
    return cast("prompt_shift", seed, timing, a=slope, b=slope, c=slope)


def _load(timing: Timing) -> Load:
    return Load(prompt_factor=10.0, shift_from_s=timing.trouble_from_s, shift_until_s=timing.trouble_until_s)


PROMPT_SHIFT = Scenario(
    name="prompt_shift",
    title="prompts are ten times as long, all are well",
    scripts=_scripts,
    faulty=(),
    loads=_load,
)
