"""What happens in the demo: phases, three providers, two loads and a control group. The seed decides all of it.

The troubles are in an order that lets the preferred provider come back in between. The rate is low for the sake of the
budgets: further calls are a share of what succeeds, and a demo has no minute of good traffic behind it. The fast plan
is the same story in a third of the time, with too few requests for a prediction that can be relied upon.
"""

from dataclasses import dataclass, replace

from streamroute.cli.demo_fault import InTurn
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, Drift, ErrorStatus, NoResponse, Stall
from streamroute.simulation.load import LoadOptions
from streamroute.simulation.profile import Profile
from streamroute.simulation.scenarios.cast import profile_of, stage
from streamroute.simulation.script import Phase, Script

ROUTE = "chat"
RACE_ROUTE = "live"
"""For latency-critical requests: two upstreams are asked at once."""
PREFERRED = "a"
"""The provider that the routes ask first, and that the control group asks alone."""
DEFAULT_SEED = 1
FAST_SCALE = 0.3
"""Below, first tokens come sooner than a busy machine can tell apart."""

_RATE = 8.0
"""Requests a second: some 150 in all."""
_FAST_RATE = 16.0
_RACE_RATE = 5.0
_FAST_RACE_RATE = 8.0
_CONTROL_SHARE = 0.4
"""Of the rate: enough for percentages, while `a` is still asked mostly by the sidecar."""
_TOKENS = 24
_FIRST_TOKEN_S = 1.5
"""Far above what the providers take when well: a busy machine must not look like a slow provider."""
_PATIENCE_S = 4.0
"""Of the control group for one try. SDKs wait for minutes: this is kind to them, and keeps the demo short."""
_STALL_S = 1.0
"""The route's limit for silence in the middle; a hundred times the usual gap."""
_SLOWER = 7.0
"""Times to the first token in the end: 1.4 s instead of 0.2 s."""
_UNSTEADY = 0.6
"""Jitter in the race: enough for the slower one to win some."""
_BREAKS_EVERY = 5
"""Share of the answers that break off: more would be more than budgets of retries allow for long."""
_CONCURRENCY = 200
"""Clients at once, at most; some 10 are usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPhase:
    """A part of the demo. Seconds since the load began."""

    name: str
    what: str
    """What the providers do, in words."""
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Everything that is decided before anything is started."""

    seed: int
    is_fast: bool
    phases: tuple[DemoPhase, ...]
    scripts: dict[str, Script]
    """By provider, in the order of preference."""
    first_token_s: float
    """The routes' deadline for the first content token."""
    stall_s: float
    load: LoadOptions
    """Through the sidecar."""
    races: LoadOptions
    """Through the sidecar too, latency-critical: only in the phase `race`."""
    control: LoadOptions
    """Straight to `PREFERRED`, with an SDK's plain retries."""

    @property
    def duration_s(self) -> float:
        """How long requests are sent; the last answers take a moment more."""
        return self.phases[-1].until_s

    def phase_at(self, elapsed_s: float) -> DemoPhase:
        """Return the phase of a moment; the last one goes on for ever."""
        return next((phase for phase in self.phases if elapsed_s < phase.until_s), self.phases[-1])

    def phase(self, name: str) -> DemoPhase:
        """Return a phase by its name."""
        return next(phase for phase in self.phases if phase.name == name)


def make_plan(seed: int, *, is_fast: bool) -> DemoPlan:
    """Return the plan of a seed."""
    scale = FAST_SCALE if is_fast else 1.0
    phases = _phases(scale)
    rate = _FAST_RATE if is_fast else _RATE
    race = next(phase for phase in phases if phase.name == "race")
    load = LoadOptions(
        model=ROUTE,
        requests=max(1, round(rate * phases[-1].until_s * 3)),  # never reached: the duration ends the load
        concurrency=_CONCURRENCY,
        rate=rate,
        tokens=_TOKENS,
        seed=seed,
        duration_s=phases[-1].until_s,
        timeout_s=20.0,
    )
    return DemoPlan(
        seed=seed,
        is_fast=is_fast,
        phases=phases,
        scripts=stage("demo", seed, scale, _troubles(phases, scale)),
        first_token_s=_FIRST_TOKEN_S,
        stall_s=_STALL_S,
        load=load,
        races=replace(
            load,
            model=RACE_ROUTE,
            rate=_FAST_RACE_RATE if is_fast else _RACE_RATE,
            seed=seed + 500_000,
            duration_s=race.until_s - race.from_s,
            headers=(("x-streamroute-class", "latency_critical"),),
        ),
        control=replace(load, model="demo-1", rate=rate * _CONTROL_SHARE, seed=seed + 1_000_000, timeout_s=_PATIENCE_S),
    )


def _phases(scale: float) -> tuple[DemoPhase, ...]:
    ends = (
        ("well", 3.0, "all three are well"),
        ("race", 5.3, "all are well, but unsteady"),
        ("hang", 7.1, "a takes requests and never answers"),
        ("cut", 11.0, "b breaks answers off, or falls silent"),
        ("recovery", 13.0, "all are well again"),
        ("slowing", 16.5, "a slows down more and more"),
        ("outage", 18.5, "a answers 503"),
    )
    starts = (0.0, *(until_s for _, until_s, _ in ends))
    return tuple(
        DemoPhase(name=name, what=what, from_s=from_s * scale, until_s=until_s * scale)
        for from_s, (name, until_s, what) in zip(starts, ends, strict=False)
    )


def _troubles(phases: tuple[DemoPhase, ...], scale: float) -> dict[str, tuple[Phase, ...]]:
    spans = {phase.name: phase for phase in phases}

    def during(name: str, *, fault: Fault | None = None, profile: Profile | None = None) -> Phase:
        return Phase(fault=fault, profile=profile, from_s=spans[name].from_s, until_s=spans[name].until_s)

    def unsteady(name: str) -> Phase:
        return during("race", profile=replace(profile_of(name, scale), jitter=_UNSTEADY))

    breaks = InTurn(faults=(Cut(at_token=7), Stall(at_token=9)), every=_BREAKS_EVERY)
    growth_s = spans["slowing"].until_s - spans["slowing"].from_s
    return {
        "a": (
            unsteady("a"),
            during("hang", fault=NoResponse()),
            during("slowing", fault=Drift(factor=_SLOWER, over_s=growth_s)),
            during("outage", fault=ErrorStatus(status=503)),
        ),
        "b": (unsteady("b"), during("cut", fault=breaks)),
        "c": (unsteady("c"),),
    }
