"""Fault `slow_first_token`: a good answer that takes long to begin."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import anyio

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_LATE, Severity
from streamroute.simulation.timeline import Timeline, jitter_factor


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowFirstToken:
    """The first content token comes `ttft_s` after the request; a response that is not streamed is as much later."""

    kind: ClassVar[str] = "slow_first_token"
    ttft_s: float = 5.0
    """Seconds, at least 0. The default is beyond most interactive limits, within most client timeouts."""
    after: Literal["role", "accept"] = "role"
    """Whether headers and role delta are sent at once, or wait too, as with providers that queue before they answer."""

    def __post_init__(self) -> None:
        require(is_met=self.ttft_s >= 0, message=f"ttft_s must be at least 0, not {self.ttft_s}")

    async def play(self, exchange: Exchange) -> None:
        """Wait, then answer well."""
        exchange.profile = replace(
            exchange.profile,
            ttft_s=self.ttft_s,
            ttft_sigma=0.0,
            ttft_tail_share=0.0,
            ttft_per_ktok_s=0.0,
            ttft_draws_s=(),
        )
        if self.after == "accept":
            await anyio.sleep(self.ttft_s)
        await exchange.answer_normally()

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_LATE

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        ttft_s = self.ttft_s * jitter_factor(normal.jitter, *normal.draw_key, 0)
        waited_s = self.ttft_s if self.after == "accept" else 0.0
        slow = normal.paced(ttft_s=max(ttft_s, waited_s), tpot_s=normal.tpot_s)
        if normal.is_stream:
            return replace(slow, head_s=waited_s)
        return replace(slow, head_s=max(waited_s, normal.paced(ttft_s=ttft_s, tpot_s=normal.tpot_s).head_s or 0.0))
