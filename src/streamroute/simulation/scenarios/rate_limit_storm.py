"""Scenarios `rate_limit_storm` and `rate_limit_bare`: 87 % of the answers are 429.

The share is that of one provider in llmperf's public results (130 of 150 requests).
"""

from streamroute.simulation.faults import RateLimit
from streamroute.simulation.scenario import Scenario, Timing
from streamroute.simulation.scenarios.cast import cast, during
from streamroute.simulation.script import Script

_SHARE = 0.87


def _storm(name: str, title: str, *, is_bare: bool) -> Scenario:
    def scripts(seed: int, timing: Timing) -> dict[str, Script]:
        limit = RateLimit(form="none") if is_bare else RateLimit(retry_after_s=5 * timing.scale, form="ms")
        return cast(name, seed, timing, {"a": (during(timing, limit, probability=_SHARE),)})

    return Scenario(name=name, title=title, scripts=scripts)


RATE_LIMIT_STORMS = (
    _storm("rate_limit_storm", "a answers 429 and says how long to wait", is_bare=False),
    _storm("rate_limit_bare", "a answers 429 and does not say how long to wait", is_bare=True),
)
