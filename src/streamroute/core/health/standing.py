"""What the health board says of an upstream at one moment: how it stands, and what to expect of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

StandingKind = Literal["healthy", "suspect", "slow", "rate_limited", "auth_failed"]
"""What is known against it. `suspect`: evidence gathers; `slow`: it answers, at a pace that calls for another one;
`rate_limited`: its credential must wait; `auth_failed`: a person has to act (key, account)."""
BreakerState = Literal["closed", "open", "half_open", "ramping"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an upstream stands."""

    kind: StandingKind = "healthy"
    breaker: BreakerState = "closed"
    until: float | None = None
    """When it can be asked again (monotonic seconds), where it cannot be now and that is known."""
    can_ask: bool = True
    """A call may be made now, not counting last resorts. False while open, while half open with all probes under
    way, beyond what its ramp lets through, rate-limited or with a rejected key."""
    is_probe: bool = False
    """The next call would be a probe: half open. It goes beside a user's request, never instead of it."""
    is_left_to_prober: bool = False
    """Half open, and probes beside requests end without a verdict: for a while only the prober may ask."""
    is_hopeful: bool = False
    """Traffic is kept away because it was slow, and yet its last answer came as soon as usual."""
    risk: float = 0.0
    """0 (well) to 1 (steered away from entirely)."""
    reason: str = ""
    """In words, for people: what speaks against it."""


WELL = Standing()
"""Nothing is known against it."""


class TtftDistribution(Protocol):
    """Times to first content token of one upstream when it is well, relative to what was expected of each request."""

    @property
    def count(self) -> int:
        """How many samples it stands on."""

    @property
    def version(self) -> int:
        """Grows when enough has changed to compute anew what was derived from it."""

    def bins(self) -> Sequence[tuple[float, float]]:
        """Return (ratio to the expected, weight) in ascending order; weights add up to 1."""


@dataclass(slots=True, kw_only=True, unsafe_hash=True)
class Estimate:
    """What one request can expect of an upstream now.

    Nobody changes one; it is not frozen because a decision makes one of every upstream, and that would take 1.4 us
    each instead of 0.5.
    """

    ttft_s: float
    """Predicted median for this prompt, in its present state: slowness that was seen is in it."""
    normal_ttft_s: float
    """The same, were it well."""
    ttft: TtftDistribution | None = None
    """Around `normal_ttft_s`, frozen while the upstream is suspect; None before the first sample."""
    tpot_s: float | None = None
    penalty: float = 0.0
    """At least 0, in nats: its weight is multiplied by exp(-penalty)."""
    capacity: float = 1.0
    """0..1: what its ramp and its rate-limit headroom let through of a full share."""
    in_flight: int = 0
    in_flight_limit: float = float("inf")
    """Learned from 429 and overload answers; infinite where there were none."""
    stall_soft_s: float | None = None
    """A gap between two tokens that is unlike this upstream; None before it is known: the route's limit holds."""
    is_cold: bool = True
    """Fewer samples than a judgement needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """All upstreams of a route at one moment, for one request, in the order in which they were asked for."""

    standings: Sequence[Standing]
    estimates: Sequence[Estimate]
    is_panic: bool
    """So many are in trouble that health must not decide any more: hedges and races are off, nobody is steered away
    from but for rejected keys and unexpired `Retry-After`."""
