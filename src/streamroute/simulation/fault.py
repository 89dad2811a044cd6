"""What every fault promises. The faults themselves are in `simulation.faults`, one a file."""

from typing import ClassVar, Protocol

from streamroute.simulation.exchange import Exchange
from streamroute.simulation.moment import Moment
from streamroute.simulation.severity import Severity
from streamroute.simulation.timeline import Timeline


class Fault(Protocol):
    """One way to misbehave: a frozen dataclass whose fields are what a script may set.

    A wrong value raises ValueError at construction.
    """

    kind: ClassVar[str]
    """Its name in scripts, in `FAULTS` and in the request log."""

    async def play(self, exchange: Exchange) -> None:
        """Answer (or not), and return when the response is over; or never return, see `Exchange`."""

    def severity(self, elapsed_s: float) -> Severity:
        """Return how bad it is for the requests that it hits, `elapsed_s` after its phase began. Pure."""

    def timeline(self, normal: Timeline, moment: Moment) -> Timeline:
        """Return what the client of `play` would see; `normal` is the good answer. Pure."""


def require_error_status(status: int) -> None:
    """Raise ValueError unless `status` is one of HTTP's errors."""
    if not 400 <= status <= 599:
        raise ValueError(f"status must be between 400 and 599, not {status}")


def require(*, is_met: bool, message: str) -> None:
    """Raise ValueError with `message` unless `is_met`: for the checks of a fault's fields."""
    if not is_met:
        raise ValueError(message)


def random_token(moment: Moment, tokens: int) -> int:
    """Return after how many content tokens a mid-stream fault strikes this request: 1..tokens-1, all as likely."""
    return 1 + int(moment.fraction("token") * max(1, tokens - 1))
