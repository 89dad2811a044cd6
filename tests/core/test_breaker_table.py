"""The breaker's table: complete, what happens, and drawn in the documents.

`python tests/core/test_breaker_table.py --write` draws it anew.
"""

import itertools
import sys
import typing
from pathlib import Path

import pytest

from streamroute.core.health.breaker import (
    FAILURES_TO_OPEN,
    FAILURES_TO_RELAPSE,
    PROOFS_TO_RAMP,
    RAMP_S,
    TABLE,
    BreakerEvent,
)
from streamroute.core.health.standing import BreakerState
from tests.support.breakers import admitted, in_state

DOCUMENT = Path(__file__).parents[2] / "docs" / "concepts" / "breaker.md"


def test_the_table_is_complete() -> None:
    """Every state has a row for every event that can reach it; only open and ramping ones have a timer."""
    states, events = typing.get_args(BreakerState), typing.get_args(BreakerEvent)
    assert set(TABLE) == set(itertools.product(states, events)) - {("closed", "timer"), ("half_open", "timer")}


@pytest.mark.parametrize(("state", "event"), list(TABLE))
def test_the_table_is_what_happens(state: BreakerState, event: BreakerEvent) -> None:
    """Each row of the table, performed until its condition holds."""
    subject, now = in_state(state)
    subject.is_ready(now)
    assert subject.state == state
    repeated = {("closed", "failure"): FAILURES_TO_OPEN, ("ramping", "failure"): FAILURES_TO_RELAPSE}
    times = PROOFS_TO_RAMP if state == "half_open" and event in {"success", "proved"} else 1
    for _ in range(repeated.get((state, event), times)):
        match event:
            case "success" | "failure":
                subject.settle(admitted(subject, now, last_resort=True), now, event)
            case "proved":
                subject.proved(admitted(subject, now, last_resort=True), now)
            case "tripped":
                subject.trip(now, "errors")
            case "blocked":
                subject.block(now, 9.0)
            case "timer":
                subject.is_ready(now + RAMP_S)
            case "forced_open":
                subject.force("open", now)
            case "forced_closed":
                subject.force("closed", now)
    assert subject.state == TABLE[state, event]


def drawing() -> str:
    """Return the table as a diagram: one arrow for each pair of states, with the events that take it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), after in TABLE.items():
        if before != after:
            arrows.setdefault((before, after), []).append(event)
    lines = [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()]
    return "\n".join(("```mermaid", "stateDiagram-v2", "    [*] --> closed", *lines, "```"))


def with_drawing(document: str) -> str:
    """Return the document with its diagram drawn anew."""
    before, _, rest = document.partition("```mermaid\n")
    return f"{before}{drawing()}{rest.partition('```')[2]}"


def test_the_document_shows_the_table() -> None:
    """The diagram is the table's, as it is now."""
    written = DOCUMENT.read_text()
    assert drawing() in written
    assert written == with_drawing(written), "draw it anew: python tests/core/test_breaker_table.py --write"


if __name__ == "__main__" and "--write" in sys.argv[1:]:
    DOCUMENT.write_text(with_drawing(DOCUMENT.read_text()))
