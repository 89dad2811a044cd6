"""What all tests share."""

import asyncio
import gc
from collections.abc import Callable, Mapping

import pytest
import uvloop

from streamroute.telemetry.logs import configure_logs


def pytest_collection_finish() -> None:
    """Leave modules and thousands of tests out of every later look for garbage: with them one takes a quarter of a
    second of CPU, on a busy machine more than providers in tests may be silent for."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _quiet_logs() -> None:
    """Errors of ours show up in a failing test's output; the rest would drown them."""
    configure_logs("error", "json")


BOTH_LOOPS = {"test_transport_contract.py", "test_runner.py", "test_hostile_providers.py", "test_streams.py"}
UVLOOP_ONLY = {"tests/matrix/test_faults.py"}
"""What people get; the other loop would double the longest of all tests, and the contract covers both."""


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run what touches sockets on both event loops: uvloop is what people get, asyncio where it is missing."""
    if item.path.relative_to(config.rootpath).as_posix() in UVLOOP_ONLY:
        return {"uvloop": uvloop.new_event_loop}
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.name in BOTH_LOOPS:
        factories["uvloop"] = uvloop.new_event_loop
    return factories
