"""Running a coroutine where time is virtual and connections are in memory."""

import asyncio
import math
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import async_solipsism  # type: ignore[import-untyped]  # it has no types

_T = TypeVar("_T")


class _Loop(async_solipsism.EventLoop):  # type: ignore[misc]  # as above
    """Timers are rounded up to the clock's ticks: rounded down, anyio's deadlines would be armed again for ever."""

    def call_at(self, when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        tick = self._clock_resolution
        rounded = math.ceil(when / tick) * tick if math.isfinite(when) else when
        handle: asyncio.TimerHandle = super().call_at(rounded, *args, **kwargs)
        return handle


def run_virtually(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run `main` on a loop of its own; a deadlock raises `async_solipsism.SleepForeverError`."""
    with warnings.catch_warnings(), asyncio.Runner(loop_factory=_Loop) as runner:
        # what is left of a wait after rounding may be below the clock's microsecond; the loop then goes on at once
        warnings.simplefilter("ignore", async_solipsism.ResolutionWarning)
        return runner.run(main())
