"""The two clocks of the process."""

import asyncio
from datetime import UTC, datetime

import pytest

from streamroute import clock


async def test_now_is_the_loops_time() -> None:
    """A loop on virtual time controls everything that measures."""
    loop = asyncio.get_running_loop()
    assert loop.time() <= clock.now() <= loop.time()


def test_now_needs_a_loop() -> None:
    """Outside of one there is no such time: a mistake is loud."""
    with pytest.raises(RuntimeError):
        clock.now()


@pytest.mark.parametrize(
    ("at", "text"),
    [(0.0, "1970-01-01T00:00:00.000Z"), (1_700_000_000.25, "2023-11-14T22:13:20.250Z")],
)
def test_wall_time_is_written_in_utc(at: float, text: str) -> None:
    """RFC 3339 with milliseconds, whatever the zone of the machine."""
    assert clock.wall_iso(at) == text


def test_wall_time_is_of_today() -> None:
    """Without an argument it is now."""
    written = datetime.fromisoformat(clock.wall_iso())
    assert written.tzinfo == UTC
    assert abs(written.timestamp() - clock.wall()) < 5
