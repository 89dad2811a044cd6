"""A script: how one simulated provider behaves over time. The same seed gives the same behaviour.

Times count from the moment the script is played, requests from 0. The first phase that matches a request decides
about it; where none does, the provider is well.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults.error_status import ErrorStatus
from streamroute.simulation.meter import Meter, Traffic
from streamroute.simulation.moment import Moment
from streamroute.simulation.pace import has_base_error, normal_timeline, refusal_status
from streamroute.simulation.profile import Profile
from streamroute.simulation.seeded import fraction
from streamroute.simulation.severity import NO_HARM, Severity, mixed
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """When, and for which requests, a fault is played. All conditions must hold."""

    fault: Fault | None = None
    """None: well, also where a later phase would match."""
    from_s: float = 0.0
    """Seconds since the script began, inclusive."""
    until_s: float = math.inf
    """Exclusive."""
    from_request: int = 0
    """0-based number of the chat request since the script began, inclusive."""
    until_request: int | None = None
    """Exclusive; None: no end."""
    model: str | None = None
    """Only requests for this model."""
    stream: bool | None = None
    """Only streams (true) or only whole answers (false)."""
    probability: float = 1.0
    """Share of the requests, 0 to 1, chosen by the script's seed."""
    profile: Profile | None = None
    """Replaces the script's profile in this phase."""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must be between 0 and 1, not {self.probability}")
        if self.from_s < 0 or self.from_request < 0:
            raise ValueError("from_s and from_request must be at least 0")
        if self.until_s <= self.from_s:
            raise ValueError(f"until_s ({self.until_s:g}) must be above from_s ({self.from_s:g})")
        if self.until_request is not None and self.until_request <= self.from_request:
            raise ValueError(f"until_request ({self.until_request}) must be above from_request ({self.from_request})")

    def covers(self, *, elapsed_s: float, ordinal: int, model: str, stream: bool) -> bool:
        """Return whether a request meets the conditions, probability aside."""
        return (
            self.from_s <= elapsed_s < self.until_s
            and self.from_request <= ordinal
            and (self.until_request is None or ordinal < self.until_request)
            and self.model in {None, model}
            and self.stream in {None, stream}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The behaviour of one provider."""

    name: str = "healthy"
    seed: int = 0
    """Of jitter, probabilities and ids."""
    profile: Profile = field(default_factory=Profile)
    phases: Sequence[Phase] = ()

    @classmethod
    def of(cls, fault: Fault | None, *, profile: Profile | None = None, seed: int = 0) -> "Script":
        """Return a script that always plays `fault`."""
        phases = () if fault is None else (Phase(fault=fault),)
        name = "healthy" if fault is None else fault.kind
        return cls(name=name, seed=seed, profile=profile or Profile(), phases=phases)

    def phase_of(self, *, elapsed_s: float, ordinal: int, model: str, stream: bool) -> int | None:
        """Return the index of the phase that decides about a request, None where the provider is well."""
        for i, phase in enumerate(self.phases):
            if not phase.covers(elapsed_s=elapsed_s, ordinal=ordinal, model=model, stream=stream):
                continue
            if phase.probability >= 1 or fraction(self.seed, "phase", i, ordinal) < phase.probability:
                return i
        return None

    def profile_in(self, phase: int | None) -> Profile:
        """Return the profile of a phase by its index; the script's own where it has none, or without a phase."""
        return (None if phase is None else self.phases[phase].profile) or self.profile

    def fault_for(self, phase: int | None, moment: Moment) -> Fault | None:
        """Return what goes wrong for a request: too many requests, an error of every day, or the phase's fault."""
        profile = self.profile_in(phase)
        status = refusal_status(profile, moment)
        if status is not None:
            wait_s = profile.limit_window_s - moment.script_s % profile.limit_window_s
            is_quota = profile.limit_requests is not None and moment.window_requests >= profile.limit_requests
            return ErrorStatus(status=status, retry_after_s=math.ceil(wait_s) if is_quota else None)
        if has_base_error(profile, moment):
            return ErrorStatus(status=500)
        return None if phase is None else self.phases[phase].fault

    def severity_at(self, elapsed_s: float) -> Severity:
        """Return what requests meet on average that come then. Pure.

        By time alone: phases for some numbers, models or kinds of requests count as if they were for all.
        """
        parts, rest = list[tuple[float, Severity]](), 1.0
        for phase in self.phases:
            if not phase.from_s <= elapsed_s < phase.until_s or not rest:
                continue
            share = rest * phase.probability
            if phase.fault is not None:
                parts.append((share, phase.fault.severity(elapsed_s - phase.from_s)))
            rest -= share
        return mixed(parts) if parts else NO_HARM

    def profile_at(self, elapsed_s: float) -> Profile:
        """Return the profile of a time: of the first phase that has one, else the script's own."""
        of_phases = (
            phase.profile for phase in self.phases if phase.from_s <= elapsed_s < phase.until_s and phase.profile
        )
        return next(of_phases, self.profile)

    def troubles(self) -> list[tuple[float, float]]:
        """Return when it is not as usual: (from, until) in seconds since it began, in order, those that meet joined."""
        spans = list[tuple[float, float]]()
        for phase in sorted(self.phases, key=lambda phase: phase.from_s):
            if phase.fault is None and phase.profile is None:
                continue
            if spans and phase.from_s <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], phase.until_s))
            else:
                spans.append((phase.from_s, phase.until_s))
        return spans

    def serve(
        self,
        meter: Meter,
        *,
        elapsed_s: float,
        ordinal: int,
        tokens: int,
        prompt_tokens: int = 0,
        stream: bool = True,
        model: str = "",
    ) -> Timeline:
        """Return what a request sees that finds the traffic of `meter`, and count it in.

        The caller must `end` it there when it is over. See `timeline`.
        """
        phase = self.phase_of(elapsed_s=elapsed_s, ordinal=ordinal, model=model, stream=stream)
        profile = self.profile_in(phase)
        found = meter.begin(elapsed_s, limit_window_s=profile.limit_window_s, rate_window_s=profile.rate_window_s)
        moment = self._moment(phase, elapsed_s, ordinal, prompt_tokens, found)
        if refusal_status(profile, moment) is not None:
            meter.turn_away()
        return self._told(phase, moment, tokens=tokens, is_stream=stream)

    def timeline(  # noqa: PLR0913  a request has that many sides, all by keyword
        self,
        *,
        elapsed_s: float,
        ordinal: int,
        tokens: int,
        prompt_tokens: int = 0,
        in_flight: int = 0,
        recent_rps: float = 0.0,
        window_requests: int = 0,
        stream: bool = True,
        model: str = "",
    ) -> Timeline:
        """Return what a request would see that comes `elapsed_s` after the script began. Pure.

        `ordinal`: its number, 0-based, which also keys chance: the same number draws the same time to the first
        token and meets the same faults, so give a request its number in the whole traffic to compare policies by
        common random numbers. `tokens`: of the good answer. The traffic that it finds comes from a `Meter`.
        """
        phase = self.phase_of(elapsed_s=elapsed_s, ordinal=ordinal, model=model, stream=stream)
        found = Traffic(in_flight=in_flight, recent_rps=recent_rps, window_requests=window_requests)
        moment = self._moment(phase, elapsed_s, ordinal, prompt_tokens, found)
        return self._told(phase, moment, tokens=tokens, is_stream=stream)

    def _moment(self, index: int | None, elapsed_s: float, ordinal: int, prompt_tokens: int, found: Traffic) -> Moment:
        phase = None if index is None else self.phases[index]
        return Moment(
            seed=self.seed,
            elapsed_s=elapsed_s - (0.0 if phase is None else phase.from_s),
            ordinal=ordinal - (0 if phase is None else phase.from_request),
            draw=ordinal,
            prompt_tokens=prompt_tokens,
            in_flight=found.in_flight,
            recent_rps=found.recent_rps,
            window_requests=found.window_requests,
            script_s=elapsed_s,
        )

    def _told(self, phase: int | None, moment: Moment, *, tokens: int, is_stream: bool) -> Timeline:
        normal = normal_timeline(self.profile_in(phase), moment, tokens=tokens, is_stream=is_stream)
        fault = self.fault_for(phase, moment)
        return normal if fault is None else fault.timeline(normal, moment)
