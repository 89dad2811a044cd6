"""Running a coroutine where time is virtual and connections are in memory."""

import asyncio
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import async_solipsism

_T = TypeVar("_T")


def run_virtually(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run `main` on a loop of its own; a deadlock raises `async_solipsism.SleepForeverError`."""
    with warnings.catch_warnings(), asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        # what is left of a wait after rounding may be below the clock's microsecond; the loop then goes on at once
        warnings.simplefilter("ignore", async_solipsism.ResolutionWarning)
        return runner.run(main())
