"""What all tests share."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from streamroute.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def _quiet_logs() -> None:
    """Errors of ours show up in a failing test's output; the rest would drown them."""
    configure_logs("error", "json")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what touches sockets on both event loops: uvloop is what people get, asyncio where it is missing."""
    del config
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.name in BOTH_LOOPS:
        factories["uvloop"] = uvloop.new_event_loop
    return factories


BOTH_LOOPS = {"test_transport_contract.py", "test_runner.py"}
