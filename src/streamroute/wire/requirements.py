"""The names and ranges of requirements, the same in a body's `streamroute` object and in request headers.

    {"streamroute": {"min_quality": 0.92, "max_cost_usd": "0.10", "max_ttft_s": 1, "max_total_s": 20, "domain": "code",
                     "task": "review", "class": "interactive", "residency": "eu", "policy": "economy"}}

The object is ours: it is taken out of the body before anything goes to a provider. Amounts of money are exact: a
number is read by its shortest decimal text, or may be given as text.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, get_args

from streamroute.core.attribution import MAX_NAME_CHARS
from streamroute.core.money import MAX_MONEY, Money, money
from streamroute.core.requirements import NO_REQUIREMENTS, Requirements
from streamroute.core.upstream import LatencyClass, PolicyName
from streamroute.errors import RequestError
from streamroute.wire.number_text import number_of

FIELD = "streamroute"
MAX_SECONDS = 86_400.0
"""A day, as the longest `total_s` of a route."""
_SHOWN_CHARS = 40
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Not in names: they stand in logs, tables and databases that would break lines there, or refuse them."""


def take_requirements(payload: dict[str, Any]) -> Requirements:
    """Take what the body says out of it; raises RequestError (400) that names the field, its range and what was
    found."""
    given = payload.pop(FIELD, None)
    if given is None:
        return NO_REQUIREMENTS
    if not isinstance(given, dict):
        raise RequestError(f"`{FIELD}` must be an object; found {_shown(given)}.", param=FIELD)
    values: dict[str, Any] = {}
    for name, value in given.items():
        known = FIELDS.get(name)
        if known is None:
            near = get_close_matches(name, FIELDS, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(FIELDS)}."
            raise RequestError(f"`{FIELD}` has no field `{name[:_SHOWN_CHARS]}`; {hint}", param=FIELD)
        if value is not None:
            values[known[0]] = read(name, value, where=f"`{FIELD}.{name}`", param=f"{FIELD}.{name}")
    return Requirements(**values) if values else NO_REQUIREMENTS


def read(name: str, value: object, *, where: str, param: str | None = None) -> object:
    """Return the value of one of `FIELDS` as requirements hold it; raises RequestError (400). `where` names it."""
    try:
        return FIELDS[name][1](value)
    except ValueError as unfit:
        raise RequestError(f"{where} must be {unfit}; found {_shown(value)}.", param=param) from None


def _quality(value: object) -> float:
    number = _decimal(value)
    if number is None or not 0 <= number <= 1:
        raise ValueError("a number from 0 to 1")
    return float(number)


def _dollars(value: object) -> Money:
    number = _decimal(value)
    if number is None or not 0 < number <= MAX_MONEY // 10**12:
        raise ValueError("an amount in US dollars above 0, to 1000000")
    try:
        return money(number)
    except ValueError:
        raise ValueError("an amount in US dollars with at most 12 decimals") from None


def _seconds(value: object) -> float:
    number = _decimal(value)
    seconds = 0.0 if number is None or number > MAX_SECONDS else float(number)
    if not seconds > 0.0:  # which the least numbers are not, once they are floats
        raise ValueError(f"a number of seconds above 0, to {MAX_SECONDS:.0f}")
    return seconds


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= MAX_NAME_CHARS:
        raise ValueError(f"a name of at most {MAX_NAME_CHARS} characters")
    if _CONTROL.search(value.strip()):
        raise ValueError("a name without line breaks and other control characters")
    return value.strip()


def _domain(value: object) -> str:
    return _name(value).lower()


def _one_of(kind: Any) -> Callable[[object], str]:
    known: tuple[str, ...] = get_args(kind)

    def choice(value: object) -> str:
        if not isinstance(value, str) or value.strip().lower() not in known:
            raise ValueError(f"one of {', '.join(known)}")
        return value.strip().lower()

    return choice


def _decimal(value: object) -> Decimal | None:
    """Return a finite number, given as one or as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)) > _SHOWN_CHARS:
        return None
    return number_of(str(value))


FIELDS: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "min_quality": ("min_quality", _quality),
    "max_cost_usd": ("max_cost", _dollars),
    "max_ttft_s": ("max_ttft_s", _seconds),
    "max_total_s": ("max_total_s", _seconds),
    "domain": ("domain", _domain),
    "task": ("task", _name),
    "class": ("latency_class", _one_of(LatencyClass)),
    "residency": ("residency", _domain),
    "policy": ("policy", _one_of(PolicyName)),
}
"""By the name that clients use: the field of `Requirements`, and what reads it."""


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value[:_SHOWN_CHARS]) if value else "a string that is empty"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return f"{value}"[:_SHOWN_CHARS]
    return {dict: "an object", list: "an array", type(None): "nothing"}.get(type(value), type(value).__name__)
