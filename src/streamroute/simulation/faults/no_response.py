"""Fault `no_response`: the request is taken and never answered."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class NoResponse:
    """Silent until the client gives up, from `after` on."""

    kind: ClassVar[str] = "no_response"
    after: Literal["accept", "headers", "role"] = "accept"
    """What is sent before the silence: nothing, the response's headers, or also the stream's role delta. A response
    that is not streamed has no role delta: there `role` is `headers`, with a Content-Length."""

    async def play(self, exchange: Exchange) -> None:
        """Send what `after` says, then nothing."""
        match self.after:
            case "accept":
                pass
            case "headers" | "role" if not exchange.is_stream:
                await exchange.send_part(exchange.answer.whole(), 0)
            case "headers":
                await exchange.open_stream()
            case "role":
                await exchange.stream_until(0)
        await exchange.hang()

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_FAIL

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        if self.after == "accept":
            return normal.silent()
        return replace(
            normal.silent(),
            head_s=normal.connect_s,
            status=200,
            has_role=self.after == "role",
            rate_limit=normal.rate_limit,
        )
