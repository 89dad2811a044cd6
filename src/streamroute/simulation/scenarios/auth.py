"""Scenario `auth`: the key of the preferred provider is not accepted any more."""

from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script


def _scripts(seed: int, timing: Timing) -> dict[str, Script]:
    return cast("auth", seed, timing, {"a": (during(timing, ErrorStatus(status=401, code="invalid_api_key")),)})


AUTH = Scenario(name="auth", title="the key of a is revoked", scripts=_scripts)
