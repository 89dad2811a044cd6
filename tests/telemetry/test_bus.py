"""The one publication point."""

from structlog.testing import capture_logs

from streamroute.core.observation import Observation
from streamroute.telemetry.bus import Bus
from tests.support.observations import attempt, request


def test_every_listener_is_told_in_order() -> None:
    """Observations arrive as they were published, at listeners in the order they subscribed."""
    heard: list[tuple[str, Observation]] = []
    bus = Bus([lambda each: heard.append(("one", each))])
    bus.subscribe(lambda each: heard.append(("two", each)))
    first, second = attempt(), request()
    bus.publish(first)
    bus.publish(second)
    assert heard == [("one", first), ("two", first), ("one", second), ("two", second)]


def test_a_listener_that_raises_harms_nobody() -> None:
    """The rest is told, the publisher goes on, and the fault is logged."""
    heard: list[Observation] = []

    def broken(_: Observation) -> None:
        raise ZeroDivisionError

    bus = Bus([broken, heard.append])
    observation = attempt()
    with capture_logs() as lines:
        bus.publish(observation)
    assert heard == [observation]
    assert [(each["event"], each["log_level"]) for each in lines] == [("observation.listener_failed", "error")]


def test_nobody_listens() -> None:
    """Publishing to no one is fine."""
    Bus().publish(attempt())
