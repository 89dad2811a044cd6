"""Fault `rate_limit`: 429, with every form in which providers say how long to wait."""

import math
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import ClassVar, Literal

from streamroute import clock
from streamroute.core.rate_limit import RateLimitReport
from streamroute.errors import RequestError
from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Answers 429 `rate_limit_exceeded`. The same for a stream: nothing has begun yet."""

    kind: ClassVar[str] = "rate_limit"
    retry_after_s: float = 1.0
    """Seconds the client is asked to wait, at least 0. One second, so that tests need not wait long."""
    form: Literal["seconds", "ms", "date", "none"] = "seconds"
    """`Retry-After` in whole seconds (rounded up), `retry-after-ms`, `Retry-After` as an HTTP-date (rounded up to a
    whole second of wall time), or no header at all."""
    scope: Literal["requests", "tokens"] = "requests"
    """Which of the limits the `x-ratelimit-*` headers show as used up."""
    message: str | None = None

    def __post_init__(self) -> None:
        require(is_met=self.retry_after_s >= 0, message=f"retry_after_s must be at least 0, not {self.retry_after_s}")

    async def play(self, exchange: Exchange) -> None:
        """Send the refusal."""
        message = self.message or (
            f"Rate limit reached for {exchange.answer.body.model} in organization org-sim on {self.scope} per min. "
            f"Please try again in {self.retry_after_s:g}s."
        )
        error = RequestError(message, status=429, code="rate_limit_exceeded", type_=self.scope)
        await exchange.send(429, exchange.format.error(error), headers=self._headers(exchange))

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        return ALL_FAIL

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        waits: dict[str, float] = {"seconds": float(math.ceil(self.retry_after_s)), "ms": self.retry_after_s}
        wait_s = None if self.form == "none" else waits.get(self.form, self.retry_after_s)
        refused = normal.refused(429, retry_after_s=wait_s)
        return refused if self.form == "none" else replace(refused, rate_limit=self._report())

    def _report(self) -> RateLimitReport:
        if self.scope == "requests":
            return RateLimitReport(remaining_requests=0, reset_requests_s=self.retry_after_s)
        return RateLimitReport(remaining_tokens=0, reset_tokens_s=self.retry_after_s)

    def _headers(self, exchange: Exchange) -> dict[str, str]:
        used_up = exchange.format.limit_headers(self._report())
        match self.form:
            case "seconds":
                return used_up | {"Retry-After": str(math.ceil(self.retry_after_s))}
            case "ms":
                return used_up | {"retry-after-ms": str(round(self.retry_after_s * 1000))}
            case "date":
                at = math.ceil(clock.wall() + self.retry_after_s)
                return used_up | {"Retry-After": formatdate(at, usegmt=True)}
            case "none":
                return {}
