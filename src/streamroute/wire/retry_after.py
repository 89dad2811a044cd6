"""How long a provider asks us to wait, in every spelling that is in use.

`retry-after-ms` (OpenAI, Azure), `x-ms-retry-after-ms` (Azure) and `Retry-After` in seconds or as an HTTP date
(RFC 9110, section 10.2.3).
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 3600.0
"""A longer wish is cut to an hour: a provider's slip must not take an upstream away until the next restart."""


def retry_after_s(headers: Mapping[str, str], wall_s: float) -> float | None:
    """Return the seconds to wait, 0..3600, or None where the headers do not say (or say nonsense).

    `headers` must look names up case-insensitively; `wall_s` is seconds since the epoch, for HTTP dates.
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        seconds = _number(headers.get(name), 0.001)
        if seconds is not None:
            return seconds
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value, 1.0)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # "-0000" or no zone at all: HTTP dates are UTC, never the local time of this machine
            moment = moment.replace(tzinfo=UTC)
        return _clamped(moment.timestamp() - wall_s)
    except (TypeError, ValueError, OverflowError):
        return None


def _number(value: str | None, unit_s: float) -> float | None:
    try:
        return None if value is None else _clamped(float(value) * unit_s)
    except ValueError:
        return None


def _clamped(seconds: float) -> float | None:
    if seconds != seconds:  # noqa: PLR0124 - NaN
        return None
    return min(MAX_RETRY_AFTER_S, max(0.0, seconds))
