"""What happens in the demo: five phases, three providers, a load and a control group. The seed decides all of it.

An open breaker rests for 5 to 6 s, so the phases are timed for what can be seen in 15 s: `a` trips over its drift, is
let in again near the end of the storm, trips over its outage, and is back before the end. The fast plan is the same
story in a tenth of the time, but for the breakers: there `a` stays out.

No answer is cut in the middle: such an answer ends in an error event, and nothing in a demo should fail by design.
"""

from dataclasses import dataclass

from streamroute.simulation.faults import Drift, ErrorStatus, RateLimit, Reset
from streamroute.simulation.load import LoadOptions
from streamroute.simulation.scenarios.cast import profile_of, stage
from streamroute.simulation.script import Phase, Script

ROUTE = "chat"
PREFERRED = "a"
"""The provider that the route asks first, and that the control group asks alone."""
DEFAULT_SEED = 1
"""Any would do; with this one every standing is back to ready in the end."""
FAST_SCALE = 0.1
"""1.56 s of load: with the start of Python and the last answers, the command stays below 3 s."""

_RATE = 20.0
"""Requests a second: some 300 in all, and a fifth of a core for both ends, the sidecar and the clients."""
_FAST_RATE = 70.0
_CONTROL_SHARE = 1 / 3
"""Of the rate: enough for percentages, while `a` is still asked mostly by the sidecar."""
_TOKENS = 24
_FIRST_TOKEN_S = 0.7
"""Above what `c`, the slowest, takes when it is well (0.45 s and 30 % of jitter)."""
_FAST_FIRST_TOKEN_S = 0.3
"""Not scaled: a busy machine must not look like a slow provider."""
_DRIFT_BEYOND = 2.2
"""The drifting provider ends at this multiple of the deadline: too late even when jitter is kind."""
_NOW_AND_THEN = 0.1
"""Share of `b`'s calls that fail during the outage: seldom three in a row, which would open its breaker."""
_FAST_NOW_AND_THEN = 0.3
"""Among so few requests a tenth would often be none."""
_CONCURRENCY = 200
"""Clients at once, at most; some 20 are usual."""


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
    """The route's deadline for the first content token."""
    load: LoadOptions
    """Through the sidecar."""
    control: LoadOptions
    """Straight to `PREFERRED`: the same requests, as many of them as its share allows."""

    @property
    def duration_s(self) -> float:
        """How long requests are sent; the last answers take a moment more."""
        return self.phases[-1].until_s

    def phase_at(self, elapsed_s: float) -> DemoPhase:
        """Return the phase of a moment; the last one goes on for ever."""
        return next((phase for phase in self.phases if elapsed_s < phase.until_s), self.phases[-1])


def make_plan(seed: int, *, is_fast: bool) -> DemoPlan:
    """Return the plan of a seed."""
    scale = FAST_SCALE if is_fast else 1.0
    first_token_s = _FAST_FIRST_TOKEN_S if is_fast else _FIRST_TOKEN_S
    phases = _phases(scale)
    rate = _FAST_RATE if is_fast else _RATE
    return DemoPlan(
        seed=seed,
        is_fast=is_fast,
        phases=phases,
        scripts=stage("demo", seed, scale, _troubles(phases, scale, first_token_s)),
        first_token_s=first_token_s,
        load=_load(ROUTE, seed, rate, phases[-1].until_s),
        control=_load("demo-1", seed, rate * _CONTROL_SHARE, phases[-1].until_s),
    )


def _phases(scale: float) -> tuple[DemoPhase, ...]:
    ends = (
        ("healthy", 1.2, "all three providers are well"),
        ("drift", 3.0, "a slows down, far beyond the deadline"),
        ("429 storm", 8.7, "a and b refuse most requests, then only b"),
        ("outage", 10.6, "a is down, b fails now and then"),
        ("recovery", 15.6, "all are well; a has to prove it first"),
    )
    starts = (0.0, *(until_s for _, until_s, _ in ends))
    return tuple(
        DemoPhase(name=name, what=what, from_s=from_s * scale, until_s=until_s * scale)
        for from_s, (name, until_s, what) in zip(starts, ends, strict=False)
    )


def _troubles(phases: tuple[DemoPhase, ...], scale: float, first_token_s: float) -> dict[str, tuple[Phase, ...]]:
    _, drift, storm, outage, _ = phases
    factor = _DRIFT_BEYOND * first_token_s / profile_of(PREFERRED, scale).ttft_s
    limit = RateLimit(retry_after_s=0.05 * scale, form="ms")
    return {
        "a": (
            Phase(from_s=drift.from_s, until_s=drift.until_s, fault=Drift(factor=factor, over_s=0.5 * scale)),
            Phase(from_s=storm.from_s, until_s=storm.from_s + 4.0 * scale, fault=limit, probability=0.6),
            Phase(from_s=outage.from_s, until_s=outage.until_s, fault=Reset(), probability=0.4),
            Phase(from_s=outage.from_s, until_s=outage.until_s, fault=ErrorStatus(status=503)),
        ),
        "b": (
            Phase(from_s=storm.from_s, until_s=storm.until_s, fault=limit, probability=0.6),
            Phase(
                from_s=outage.from_s,
                until_s=outage.until_s,
                fault=ErrorStatus(status=529),
                probability=_FAST_NOW_AND_THEN if scale < 1 else _NOW_AND_THEN,
            ),
        ),
    }


def _load(model: str, seed: int, rate: float, duration_s: float) -> LoadOptions:
    return LoadOptions(
        model=model,
        requests=max(1, round(rate * duration_s * 3)),  # never reached: the duration ends the load
        concurrency=_CONCURRENCY,
        rate=rate,
        tokens=_TOKENS,
        seed=seed,
        duration_s=duration_s,
        timeout_s=20.0,
    )
