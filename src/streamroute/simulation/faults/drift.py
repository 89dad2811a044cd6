"""Fault `drift`: a provider that slows down little by little, as one does before it fails."""

from dataclasses import dataclass
from typing import ClassVar

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Good answers whose `ttft_s` grows linearly from 1 to `factor` times the profile's, then stays there.

    The growth is over time or over requests since the phase began. A profile with `ttft_s` 0 has nothing to multiply.
    A response that is not streamed is slower as a whole.
    """

    kind: ClassVar[str] = "drift"
    factor: float = 5.0
    """At least 0; below 1 it gets faster."""
    over_s: float | None = 10.0
    """Seconds until the full factor, above 0; ignored where `over_requests` is given."""
    over_requests: int | None = None
    """Requests until the full factor, at least 1."""
    tpot_factor: float = 1.0
    """The same for `tpot_s`; 1 leaves it alone."""

    def __post_init__(self) -> None:
        require(is_met=self.factor >= 0 and self.tpot_factor >= 0, message="factors must be at least 0")
        require(
            is_met=self.over_requests is None or self.over_requests >= 1, message="over_requests must be at least 1"
        )
        is_timed = self.over_s is not None and self.over_s > 0
        require(is_met=self.over_requests is not None or is_timed, message="over_s must be above 0")

    def share(self, *, elapsed_s: float, ordinal: int) -> float:
        """Return how far it has come, 0 to 1."""
        if self.over_requests is not None:
            return min(1.0, ordinal / self.over_requests)
        return min(1.0, elapsed_s / (self.over_s or 1.0))

    async def play(self, exchange: Exchange) -> None:
        """Answer well, as slowly as it has become."""
        share = self.share(elapsed_s=exchange.moment.elapsed_s, ordinal=exchange.moment.ordinal)
        exchange.profile = exchange.profile.slowed(1 + (self.factor - 1) * share, 1 + (self.tpot_factor - 1) * share)
        await exchange.answer_normally()

    def severity(self, elapsed_s: float) -> Severity:
        """Return how slow it has become; where it grows over requests, how slow it gets."""
        share = self.share(elapsed_s=elapsed_s, ordinal=self.over_requests or 0)
        return Severity(slow=1 + (self.factor - 1) * share, pace=1 + (self.tpot_factor - 1) * share)

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        share = self.share(elapsed_s=moment.elapsed_s, ordinal=moment.ordinal)
        return normal.slowed(1 + (self.factor - 1) * share, 1 + (self.tpot_factor - 1) * share)
