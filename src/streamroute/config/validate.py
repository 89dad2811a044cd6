"""One table against its schema; pydantic's findings become problems that name the nearest valid thing.

A value is repeated in a message only where the schema says that it is a plain setting and it was written in the
file as it stands: never a secret, never what a reference stood for, never what was put in the wrong place.
"""

import json
import re
from decimal import Decimal
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from streamroute.config.draft import BROKEN, Draft
from streamroute.config.fields import Table
from streamroute.config.locate import Path
from streamroute.config.schema import is_secret, shape_at
from streamroute.config.suggestion import suggestion

_T = TypeVar("_T", bound=Table)
_MAX_SHOWN = 60


def validate(draft: Draft, model: type[_T], path: Path, value: object) -> _T | None:
    """Return `value` as a `model`; None if it has problems, which are reported to `draft`.

    Where only keys are unknown it is returned without them: a slip of the finger must not hide what else is wrong.
    """
    details: list[ErrorDetails] = []
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)
    for detail in details:
        at = (*path, *detail["loc"])
        if detail["input"] is not BROKEN:
            draft.report(at, _message(draft, detail, at))
    if any(detail["type"] != "extra_forbidden" for detail in details):
        return None
    known = _without(value, {detail["loc"] for detail in details})
    return None if known == value else validate(draft, model, path, known)


def _without(value: object, keys: set[tuple[int | str, ...]], at: tuple[int | str, ...] = ()) -> object:
    """Return a value without some keys of the tables in it, given by the way that leads there."""
    if isinstance(value, dict):
        return {key: _without(each, keys, (*at, key)) for key, each in value.items() if (*at, key) not in keys}
    if isinstance(value, list):
        return [_without(each, keys, (*at, position)) for position, each in enumerate(value)]
    return value


_OUT_OF_RANGE = {
    "greater_than_equal": ("is too small; the least is {}", "ge"),
    "greater_than": ("is too small; it must be above {}", "gt"),
    "less_than_equal": ("is too large; the most is {}", "le"),
    "decimal_max_places": ("has too many decimals; the most are {}", "decimal_places"),
}
_FIXED = {
    "missing": "is missing; it has no default",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": 'must begin with "/"',
    "finite_number": "must be a finite number",
    "not_thresholds": "expected a number 0..1, a list of them by tier, or a table by task or domain, with `default`",
    "not_a_date": "expected a date such as 2026-11-01, or a time with its offset such as 2026-11-01T00:00:00Z",
    "not_hours": 'expected hours of the day in UTC, such as "16:30-00:30"',
}
_EXPECTED = {
    "model": "a table",
    "dict": "a table",
    "list": "an array",
    "string": "a string",
    "int": "a whole number",
    "bool": "true or false",
    "float": "a number",
    "decimal": "a number",
    "not": "a number",
}
"""By the first word of pydantic's error type, as in `int_parsing`; `not` is our own `not_a_number`."""


def _message(draft: Draft, detail: ErrorDetails, path: Path) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        shape = shape_at(path[:-1])
        known = tuple(shape.model_fields) if isinstance(shape, type) else ()
        return f'unknown key "{path[-1]}"' + suggestion(str(path[-1]), known)
    if kind in _FIXED:
        return _FIXED[kind]
    found = _found(draft, path, detail["input"])
    context = detail.get("ctx", {})
    if kind in _OUT_OF_RANGE:
        template, limit = _OUT_OF_RANGE[kind]
        return f"{found or 'this value'} {template.format(_whole(context[limit]))}"
    if kind == "literal_error":
        expected = str(context["expected"])
        known = tuple(re.findall(r"'([^']*)'", expected))
        near = suggestion(str(detail["input"]), known) if found else ""
        return f"{found or 'this value'} is not one of {expected}{near if near.startswith('; did') else ''}"
    expected = _EXPECTED.get(kind.partition("_")[0], "another kind of value")
    return f"expected {expected}, found {_kind(detail['input'])}"


def _found(draft: Draft, path: Path, value: object) -> str:
    """Return `value` as it may be shown; empty where it may not."""
    if is_secret(path) or path in draft.marks or not isinstance(value, str | int | Decimal):
        return ""
    text = str(value) if isinstance(value, Decimal) else json.dumps(value)
    return text if len(text) <= _MAX_SHOWN else ""


def _whole(limit: object) -> object:
    return int(limit) if isinstance(limit, float | Decimal) and limit == int(limit) else limit


def _kind(value: object) -> str:
    match value:
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case Decimal() | float():
            return "a number"
        case int():
            return "a whole number"
        case dict():
            return "a table"
        case list():
            return "an array"
        case _:
            return "a date or time"
