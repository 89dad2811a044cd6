"""Scenario `decode_slow`: first tokens are as quick as ever, all others take four times as long."""

from streamroute.simulation.faults import Slow
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("decode_slow", seed, timing, {"a": (during(timing, Slow(factor=1.0, tpot_factor=4.0)),)})


DECODE_SLOW = Scenario(
    name="decode_slow", title="the tokens of a come four times as slowly, the first as quickly", scripts=_scripts
)
