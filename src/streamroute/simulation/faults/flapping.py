"""Fault `flapping`: well and failing in turns, too quickly for a slow breaker."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.fault import require, require_error_status
from streamroute.simulation.faults.error_status import ErrorStatus
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import ALL_FAIL, NO_HARM, Severity
from streamroute.simulation.timeline import Timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class Flapping:
    """Alternates good and failing halves since the phase began, good first. The same for a stream and whole answers."""

    kind: ClassVar[str] = "flapping"
    period_s: float = 2.0
    """Seconds of one half, above 0; ignored where `every_requests` is given."""
    every_requests: int | None = None
    """Requests of one half, at least 1; 1 fails every second request."""
    failure: Literal["error", "reset"] = "error"
    status: int = 503
    """Of the error, 400 to 599."""

    def __post_init__(self) -> None:
        require(is_met=self.period_s > 0, message=f"period_s must be above 0, not {self.period_s}")
        is_counted = self.every_requests is None or self.every_requests >= 1
        require(is_met=is_counted, message=f"every_requests must be at least 1, not {self.every_requests}")
        require_error_status(self.status)

    def is_failing(self, *, elapsed_s: float, ordinal: int) -> bool:
        """Return whether a request at this time, and with this 0-based number, meets a failing half."""
        if self.every_requests is not None:
            return (ordinal // self.every_requests) % 2 == 1
        return int(elapsed_s / self.period_s) % 2 == 1

    async def play(self, exchange: Exchange) -> None:
        """Answer well or fail, as the turn is."""
        if not self.is_failing(elapsed_s=exchange.moment.elapsed_s, ordinal=exchange.moment.ordinal):
            await exchange.answer_normally()
        elif self.failure == "reset":
            await exchange.reset()
        else:
            await ErrorStatus(status=self.status).play(exchange)

    def severity(self, elapsed_s: float) -> Severity:
        """Return what becomes of those it hits."""
        if self.every_requests is not None:
            return Severity(failing=0.5)
        return ALL_FAIL if self.is_failing(elapsed_s=elapsed_s, ordinal=0) else NO_HARM

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what `play` lets the client see."""
        if not self.is_failing(elapsed_s=moment.elapsed_s, ordinal=moment.ordinal):
            return normal
        if self.failure == "reset":
            return replace(normal.silent(), ending="reset")
        return ErrorStatus(status=self.status).timeline(normal, moment)
