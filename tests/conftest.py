"""What all tests share."""

import pytest

from streamroute.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def _quiet_logs() -> None:
    """Errors of ours show up in a failing test's output; the rest would drown them."""
    configure_logs("error", "json")
