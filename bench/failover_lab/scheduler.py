"""Virtual time: a heap of what happens when. No asyncio, no clock.

An event loop that stands still for a while does everything that was due meanwhile in its order, late.
"""

import heapq
from collections.abc import Callable, Sequence
from itertools import count

from streamroute.simulation.scenario import Pause

Action = Callable[[], None]


class Scheduler:
    """Runs actions in the order of their times; those of one moment in the order in which they were asked for."""

    __slots__ = ("_heap", "_order", "_pauses", "now")

    def __init__(self, pauses: Sequence[Pause] = ()) -> None:
        """`pauses`: in their order, apart from each other."""
        self._pauses = list(reversed(pauses))
        self._heap: list[tuple[float, int, Action]] = []
        self._order = count()
        self.now = 0.0
        """Seconds since the run began."""

    def at(self, when: float, action: Action) -> None:
        """Have `action` run at `when`, or now if that is past."""
        heapq.heappush(self._heap, (max(when, self.now), next(self._order), action))

    def run(self, until_s: float) -> None:
        """Run everything up to `until_s`."""
        heap = self._heap
        while heap and heap[0][0] <= until_s:
            when, _, action = heapq.heappop(heap)
            if self._pauses and when >= self._pauses[-1].at_s:
                when = self._late(when)
            self.now = max(self.now, when)
            action()
        self.now = until_s

    def _late(self, when: float) -> float:
        """Return when it is done that is due at a time at or after the next pause."""
        while self._pauses and when >= self._pauses[-1].at_s + self._pauses[-1].for_s:
            self._pauses.pop()
        is_paused = bool(self._pauses) and when >= self._pauses[-1].at_s
        return self._pauses[-1].at_s + self._pauses[-1].for_s if is_paused else when
