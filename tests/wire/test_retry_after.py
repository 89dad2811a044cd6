"""How long a provider asks us to wait."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamroute.wire.retry_after import MAX_RETRY_AFTER_S, retry_after_s

WALL_S = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "nan", "retry-after": "9"}, 9.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "999999999"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "inf"}, MAX_RETRY_AFTER_S),
        ({"retry-after": "-inf"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 99 Foo 2015 07:28:00 GMT"}, None),
        ({"retry-after": formatdate(WALL_S + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(WALL_S - 30, usegmt=True)}, 0.0),
        ({"retry-after": formatdate(WALL_S + 10**6, usegmt=True)}, MAX_RETRY_AFTER_S),
    ],
)
def test_spellings(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds first, then seconds, then an HTTP date; nonsense counts as silence; 0..3600 s."""
    assert retry_after_s(headers, WALL_S) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000", ""])
def test_dates_are_utc(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A date means the same on a machine that is not in UTC, whatever stands for its zone."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        value = formatdate(WALL_S + 30, usegmt=True).replace("GMT", zone).strip()
        assert retry_after_s({"retry-after": value}, WALL_S) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


@settings(deadline=None, max_examples=150)
@given(value=st.one_of(st.text(max_size=40), st.floats().map(str), st.text("0123456789, :GMTWedNov+-", max_size=30)))
def test_any_header_is_taken(value: str) -> None:
    """No header raises, and no answer is outside 0..3600."""
    for name in ("retry-after", "retry-after-ms"):
        seconds = retry_after_s({name: value}, WALL_S)
        assert seconds is None or 0.0 <= seconds <= MAX_RETRY_AFTER_S
