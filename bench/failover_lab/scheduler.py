"""Virtual time: a heap of what happens when. No asyncio, no clock."""

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Scheduler:
    """Runs actions in the order of their times; those of one moment in the order in which they were asked for."""

    __slots__ = ("_heap", "_order", "now")

    def __init__(self) -> None:
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
            self.now, _, action = heapq.heappop(heap)
            action()
        self.now = until_s
