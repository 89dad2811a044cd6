"""A scenario: what goes wrong with three providers, when, and who asks them meanwhile. Everything is seeded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from streamroute.simulation.script import Script
from streamroute.simulation.traffic import Load

_PROVIDERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When trouble begins and ends, in seconds since the scripts began, and how quick the providers are."""

    trouble_from_s: float = 60.0
    """A minute at 5 requests a second: estimates have settled."""
    trouble_until_s: float = 180.0
    end_s: float = 300.0
    """Two minutes to watch the recovery."""
    scale: float = 1.0
    """Multiplies every duration of the providers themselves (first tokens, tokens, waits), not the three above."""

    def __post_init__(self) -> None:
        if self.scale <= 0:
            raise ValueError(f"scale must be above 0, not {self.scale}")
        if not 0 <= self.trouble_from_s < self.trouble_until_s <= self.end_s:
            raise ValueError("trouble_from_s, trouble_until_s and end_s must ascend from 0")

    @classmethod
    def benchmark(cls, scale: float = 1.0) -> Self:
        """Five minutes, of which two are troubled, times `scale` above 0, with providers as slow as `scale`."""
        return cls(trouble_from_s=60.0 * scale, trouble_until_s=180.0 * scale, end_s=300.0 * scale, scale=scale)

    @classmethod
    def short(cls, scale: float = 1.0) -> Self:
        """Fifteen seconds, of which seven are troubled, times `scale` above 0: for people who watch.

        The providers are two and a half times as quick as in the benchmark, so that as much happens.
        """
        return cls(trouble_from_s=3.0 * scale, trouble_until_s=10.0 * scale, end_s=15.0 * scale, scale=0.4 * scale)

    @property
    def trouble_s(self) -> float:
        """How long the trouble lasts."""
        return self.trouble_until_s - self.trouble_from_s

    def at(self, share: float) -> float:
        """Return the moment at which `share` (0 to 1) of the trouble is over."""
        return self.trouble_from_s + share * self.trouble_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Our own event loop stands still."""

    at_s: float
    for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One story, for the providers a, b and c."""

    name: str
    title: str
    """One line for people."""
    scripts: Callable[[int, Timing], dict[str, Script]] = field(repr=False)
    """(seed, timing) -> the script of a, b and c, in the order of preference. Pure; the seed is of chance alone."""
    faulty: tuple[str, ...] = ("a",)
    """Who misbehaves between `trouble_from_s` and `trouble_until_s`; empty: nobody."""
    load: Load = field(default_factory=Load)
    loads: Callable[[Timing], Load] | None = field(default=None, repr=False)
    """Where the load changes with the timing; else `load` is all."""
    domains: Mapping[str, str] = field(default_factory=dict)
    """What a provider fails together with; by default each is on its own."""
    is_ours: bool = False
    """The trouble is of our own making: whoever shuts a provider out for it is wrong."""
    pauses: Callable[[Timing], tuple[Pause, ...]] | None = field(default=None, repr=False)
    """When our event loop stands still; None: never."""
    judged_after_s: float = 0.0
    """Clients are judged while there is trouble, and so long after it (times the timing's scale)."""
    requests: int | None = None
    """All is calm all the time. Clients are judged all the time, and it takes so many of their requests to show what
    is done for nothing."""

    @property
    def watched(self) -> str | None:
        """Whose share of the requests tells how it was steered; None: there is nobody to go away from, or to go to."""
        return self.faulty[0] if 0 < len(self.faulty) < _PROVIDERS else None

    def load_for(self, timing: Timing) -> Load:
        """Return who asks."""
        return self.load if self.loads is None else self.loads(timing)


def by_name(*scenarios: Scenario) -> Mapping[str, Scenario]:
    """Return them by their names; raises ValueError where two share one."""
    named = {scenario.name: scenario for scenario in scenarios}
    if len(named) != len(scenarios):
        raise ValueError("two scenarios have the same name")
    return named
