"""Figures of the core as JSON."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest

from streamroute.clock import wall
from streamroute.server.shown import moment, shown, shown_fields


@dataclass(frozen=True, slots=True)
class Inner:
    """A value within a value."""

    reopens_at: float | None = 12.0


@dataclass(frozen=True, slots=True)
class Figures:
    """A value with each kind of field."""

    ttft_s: float = 0.123456789
    limit: float = float("inf")
    count: int = 3
    names: tuple[str, ...] = ("a", "b")
    by_class: dict[str, float] = field(default_factory=lambda: {"batch": 0.1})
    inner: Inner = Inner()
    seen_at: float | None = None
    secret: str = "not asked for"


def test_fields_keep_their_names() -> None:
    """Infinity and what is not known are null; times are wall times; what was left out is not there."""
    found = shown_fields(Figures(), 10.0, without=frozenset({"secret"}))
    reopens_at = found.pop("inner")
    assert found == {
        "ttft_s": 0.123457,
        "limit": None,
        "count": 3,
        "names": ["a", "b"],
        "by_class": {"batch": 0.1},
        "seen_at": None,
    }
    assert isinstance(reopens_at, dict)
    assert str(reopens_at["reopens_at"]).endswith("Z")


def test_moments_are_relative_to_now() -> None:
    """Two seconds ago on one clock are two seconds ago on the other."""
    assert moment(None, 10.0) is None
    assert moment(float("inf"), 10.0) is None
    then = moment(8.0, 10.0)
    assert then is not None
    assert wall() - datetime.fromisoformat(then).timestamp() == pytest.approx(2.0, abs=0.5)


def test_what_is_no_json_becomes_text() -> None:
    """Anything else is shown as it prints."""
    assert shown({1: {2.5, "x"} & {"x"}, "p": ValueError("v")}, 0.0) == {"1": ["x"], "p": "v"}
