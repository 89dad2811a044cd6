"""Times as people type them: `30m`, `24h`, `7d`, `4w`, and dates."""

import re
from datetime import UTC, datetime

_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_UNIT_S = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def span_s(text: str) -> int | None:
    """Return a span in seconds, None for what is none."""
    span = _SPAN.fullmatch(text)
    return None if span is None else int(span[1]) * _UNIT_S[span[2]]


def moment_ms(text: str) -> int | None:
    """Return a date or time as milliseconds since the Unix epoch, in UTC unless it says otherwise; None for no such."""
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
