"""When an upstream that is steered away from is asked all the same, to learn whether it is well again.

Without this it starves: no traffic, no evidence, no way back. The exploring request may be hedged at once, so the
client hardly pays for it.
"""

from collections.abc import Callable

from streamroute.core.upstream import LatencyClass, UpstreamId

EXPLORED_SHARE = 0.02
"""Of the requests, at random: with 2 % an upstream came back in 5 to 9 s in a simulation, with none in 65 to 143 s."""
EXPLORED_EVERY_S = 5.0
"""And one after so long, where traffic is thin; Bifrost recomputes its weights as often."""
LEAST_REQUESTS_BETWEEN = 4
"""So many requests go elsewhere between two that explore: of rare requests most must not go to who is ill."""
EXPLORING_CLASSES: frozenset[LatencyClass] = frozenset({"standard", "interactive"})
"""Batch requests cannot tell slow from hung; latency-critical ones are not for experiments."""
MAX_TRACKED = 1000


class Explorer:
    """Remembers, of each upstream that is steered away from, when it was last explored. Times are monotonic."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[UpstreamId, tuple[float, int]] = {}

    def is_due(self, upstream: UpstreamId, now: float, uniform: Callable[[], float]) -> bool:
        """Return whether this request should explore `upstream`, and count it: call it once for each request.

        The first time only starts the clock, for the evidence that steered it away is fresh.
        """
        last = self._last.get(upstream)
        if last is None:
            if len(self._last) >= MAX_TRACKED:
                del self._last[next(iter(self._last))]
            self._last[upstream] = (now, 0)
            return False
        at, between = last
        is_due = between >= LEAST_REQUESTS_BETWEEN and (now - at >= EXPLORED_EVERY_S or uniform() < EXPLORED_SHARE)
        self._last[upstream] = (now, 0) if is_due else (at, between + 1)
        return is_due

    def forget(self, upstream: UpstreamId) -> None:
        """It is asked again as a matter of course."""
        self._last.pop(upstream, None)
