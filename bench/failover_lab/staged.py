"""A scenario with its times: what a run plays, and what its figures go by. All of it follows from the scenario.

Every mode plays the same scenario; they differ in how long they take for it.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from streamroute.core.upstream import Steering
from streamroute.simulation.scenario import Pause, Scenario, Timing
from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load

Mode = Literal["des", "virtual", "sockets"]
TIMINGS: dict[Mode, Timing] = {
    "des": Timing.benchmark(),
    "virtual": Timing(trouble_from_s=30.0, trouble_until_s=70.0, end_s=110.0),
    "sockets": Timing(trouble_from_s=10.0, trouble_until_s=25.0, end_s=40.0),
}
"""The whole application takes longer for a second than the simulation, and real time as long as it is."""
BREACH_FACTOR = 2.5
"""A first token this many times later than normal is a breach of the objective; as in `HealthOptions.slo_factor`."""
_STEP_S = 0.1
_FAST_CALM = 0.25
"""Of the requests in which nothing goes wrong, for a quick look."""


def staged(
    scenario: Scenario,
    mode: Mode = "des",
    *,
    is_fast: bool = False,
    rps: float | None = None,
    steering: Steering | None = None,
) -> "Staged":
    """Return the scenario with the times of a mode; `is_fast`: with half of the aftermath; `rps` and `steering`: other
    than its own."""
    timing = TIMINGS[mode]
    load = scenario.load_for(timing)
    if rps is not None:
        load = replace(load, rps=rps)
    if steering is not None:
        load = replace(load, steering=steering)
    end_s = timing.end_s
    if scenario.requests is not None and mode == "des":
        end_s = scenario.requests * (_FAST_CALM if is_fast else 1.0) / load.rps
        timing = replace(timing, trouble_from_s=0.0, trouble_until_s=end_s, end_s=end_s)
    elif is_fast:
        timing = replace(timing, end_s=(timing.trouble_until_s + end_s) / 2)
    return Staged(scenario=scenario, timing=timing, load=load)


@dataclass(frozen=True, kw_only=True)
class Staged:
    """Times are seconds of the run."""

    scenario: Scenario
    timing: Timing
    load: Load

    def scripts(self, seed: int) -> dict[str, Script]:
        """Return the script of each provider."""
        return self.scenario.scripts(seed, self.timing)

    @property
    def name(self) -> str:
        """Of the scenario."""
        return self.scenario.name

    @property
    def watched(self) -> str | None:
        """Whose share tells whether a policy has steered; None: nobody's."""
        return self.scenario.watched

    @property
    def end_s(self) -> float:
        """Until when requests arrive."""
        return self.timing.end_s

    @property
    def onset_s(self) -> float:
        """When trouble begins."""
        return self.timing.trouble_from_s

    @property
    def trouble_until_s(self) -> float:
        """When the one that is watched is as usual for good."""
        spans = self.truth[self.watched].troubles() if self.watched else []
        return min(self.end_s, spans[-1][1]) if spans else self.timing.trouble_until_s

    @property
    def judged_s(self) -> tuple[float, float]:
        """Requests that arrive in [from, until) make the figures of clients."""
        if self.scenario.requests is not None:
            return 0.0, self.end_s
        after_s = self.scenario.judged_after_s * self.timing.scale
        return self.onset_s, min(self.end_s, self.trouble_until_s + after_s)

    @property
    def pauses(self) -> tuple[Pause, ...]:
        """When our own event loop stands still."""
        return () if self.scenario.pauses is None else self.scenario.pauses(self.timing)

    # -- the truth about the providers, which does not depend on the seed

    @cached_property
    def truth(self) -> dict[str, Script]:
        """The scripts of some seed."""
        return self.scripts(0)

    def is_well(self, provider: str, now: float, *, for_s: float = 0.0) -> bool:
        """Return whether nothing is wrong with it, and nothing was in the last `for_s` seconds.

        Who does the worse the more it is asked is never said to be well: that depends on who asks. Where the trouble is
        ours, everybody is.
        """
        if self.scenario.is_ours:
            return True
        script = self.truth[provider]
        spans = script.troubles()
        return not script.profile.has_limits and not any(at <= now and now - for_s < until for at, until in spans)

    def well_s(self, provider: str) -> float:
        """Return for how long it is well."""
        if self.scenario.is_ours:
            return self.end_s
        script = self.truth[provider]
        if script.profile.has_limits:
            return 0.0
        return self.end_s - sum(max(0.0, min(self.end_s, until) - at) for at, until in script.troubles())

    def breach_s(self, provider: str) -> float | None:
        """Return when a client that never steers first meets calls that fail, or a breach of the objective."""
        script = self.truth[provider]
        for step in range(int((self.trouble_until_s - self.onset_s) / _STEP_S)):
            severity = script.severity_at(self.onset_s + step * _STEP_S)
            if severity.failing or severity.slow >= BREACH_FACTOR:
                return self.onset_s + step * _STEP_S
        return None
