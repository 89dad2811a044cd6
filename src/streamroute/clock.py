"""The two clocks of the process.

Everything that measures a duration or decides when to act reads `Clock.now()`: the running event loop's
monotonic seconds, so that a test on a virtual-time loop controls all of them at once. Wall time is for
people: log lines, `/status`, HTTP dates.
"""

import asyncio
import time
from datetime import UTC, datetime


def now() -> float:
    """Return monotonic seconds of the running event loop; raises RuntimeError outside of one.

    uvloop's own clock is the system's monotonic one, but cut to milliseconds and read once a loop round: too coarse
    for what takes microseconds, so there the system's is read.
    """
    loop = asyncio.get_running_loop()
    return time.monotonic() if type(loop).__module__.startswith("uvloop") else loop.time()


def thread_now() -> float:
    """Return monotonic seconds of the system, for threads that have no event loop."""
    return time.monotonic()


def wall() -> float:
    """Return seconds since the Unix epoch."""
    return time.time()


def wall_iso(at: float | None = None) -> str:
    """Return RFC 3339 UTC with milliseconds of `at` (seconds since the epoch), by default of now."""
    moment = datetime.fromtimestamp(wall() if at is None else at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
