"""When an upstream that is steered away from is asked all the same, to learn whether it is well again.

Without this it starves: no traffic, no evidence, no way back. It is asked beside the one that serves the request, so
no client pays with its time; what it costs is a prompt.

Right after traffic has moved away, every request explores for a moment: a handful of answers tell a false alarm from
trouble within a second or two, so an alarm may come early (it is the second half of a sequential test in two stages).
"""

from collections.abc import Callable
from dataclasses import dataclass

from streamroute.core.upstream import LatencyClass, UpstreamId

Where = tuple[str, UpstreamId]
"""Of which route, and which upstream: another route that has nobody else to ask does not make it well."""

EXPLORED_SHARE = 0.02
"""Of the requests, at random: with 2 % an upstream came back in 5 to 9 s in a simulation, with none in 65 to 143 s."""
EXPLORED_EVERY_S = 5.0
"""And one after so long, where traffic is thin; Bifrost recomputes its weights as often."""
HOPEFUL_EVERY_S = 1.0
"""And so soon again where the last answer came as soon as usual: three in a row end a false alarm."""
LEAST_REQUESTS_BETWEEN = 4
"""So many requests go elsewhere between two that explore: of rare requests most must not go to who is ill."""
CONFIRMED_WITHIN_S, CONFIRMED_BY = 2.0, 6
"""After an alarm every request explores, for so long and so many: six good answers weigh more than an alarm does."""
EXPLORING_CLASSES: frozenset[LatencyClass] = frozenset({"standard", "interactive"})
"""Batch requests cannot tell slow from hung; latency-critical ones are not for experiments."""
MAX_TRACKED = 1000


@dataclass(slots=True)
class _Absence:
    """Since when an upstream is steered away from, and how often it was explored since."""

    since: float
    last_at: float
    requests_between: int = 0
    checks: int = 0


class Explorer:
    """Remembers, of each upstream that is steered away from, when it was last explored. Times are monotonic."""

    __slots__ = ("_absent",)

    def __init__(self) -> None:
        self._absent: dict[Where, _Absence] = {}

    def is_due(self, where: Where, now: float, uniform: Callable[[], float], *, is_hopeful: bool = False) -> bool:
        """Return whether this request should explore the upstream, and count it: call it once for each request."""
        absence = self._absent.get(where)
        if absence is None:
            if len(self._absent) >= MAX_TRACKED:
                del self._absent[next(iter(self._absent))]
            absence = self._absent[where] = _Absence(now, now)
        if absence.checks < CONFIRMED_BY and now - absence.since <= CONFIRMED_WITHIN_S:
            absence.checks += 1
            absence.last_at = now
            return True
        every_s = HOPEFUL_EVERY_S if is_hopeful else EXPLORED_EVERY_S
        is_time = now - absence.last_at >= every_s or uniform() < EXPLORED_SHARE
        if absence.requests_between < LEAST_REQUESTS_BETWEEN or not is_time:
            absence.requests_between += 1
            return False
        absence.last_at, absence.requests_between = now, 0
        return True

    def forget(self, where: Where) -> None:
        """It is asked again as a matter of course."""
        self._absent.pop(where, None)
