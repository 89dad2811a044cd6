"""Fault `slow_first_token`: a good answer that takes long to begin."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import anyio

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require


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
        exchange.profile = replace(exchange.profile, ttft_s=self.ttft_s)
        if self.after == "accept":
            await anyio.sleep(self.ttft_s)
        await exchange.answer_normally()
