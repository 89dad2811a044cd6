"""Figures of the core as JSON: a field is called there what it is called here.

Monotonic times (fields that end in `_at`, and `until`) become RFC 3339; seconds keep microseconds; infinity and what is
not known become null.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from streamroute.clock import wall, wall_iso

_TIMES = ("_at", "until")


def shown(value: object, at: float) -> object:
    """Return `value`, a dataclass or what is in one, as JSON; `at` is now on the monotonic clock."""
    if is_dataclass(value):
        return shown_fields(value, at)
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): shown(item, at) for key, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [shown(item, at) for item in value]
    return value if value is None or isinstance(value, str | int) else str(value)


def shown_fields(value: object, at: float, *, without: frozenset[str] = frozenset()) -> dict[str, object]:
    """Return the public fields of a dataclass as JSON, those named in `without` left out."""
    found: dict[str, object] = {}
    for field in fields(value) if is_dataclass(value) else ():
        if field.name in without or field.name.startswith("_"):
            continue
        item = getattr(value, field.name)
        is_time = field.name.endswith(_TIMES) and isinstance(item, float)
        found[field.name] = moment(item, at) if is_time else shown(item, at)
    return found


def moment(when: float | None, at: float) -> str | None:
    """Turn a monotonic time into wall time; `at` is now on the monotonic clock."""
    return None if when is None or not math.isfinite(when) else wall_iso(wall() + when - at)
