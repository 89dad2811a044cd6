"""A script: how one simulated provider behaves over time. The same seed gives the same behaviour.

Times count from the moment the script is played, requests from 0. The first phase that matches a request decides
about it; where none does, the provider is well.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from streamroute.simulation.fault import Fault
from streamroute.simulation.profile import Profile
from streamroute.simulation.seeded import fraction


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
