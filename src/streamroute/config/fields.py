"""The kinds of values that the TOML file holds, and how they are read: numbers, money, dates, names, tables."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from streamroute.core.gate import Thresholds

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("not_a_number", "expected a number")
    return value


def _since_ms(value: object) -> object:
    """Take a TOML date, which begins at midnight UTC, or a time with an offset."""
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return round(value.timestamp() * 1000)
    elif isinstance(value, date):
        return round(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp() * 1000)
    raise PydanticCustomError("not_a_date", "expected a date")


def _minutes(value: object) -> object:
    """Take `16:30-00:30` as minutes of the day."""
    match = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("not_hours", "expected hours")
    hour, minute, until_hour, until_minute = map(int, match.groups())
    return 60 * hour + minute, 60 * until_hour + until_minute


def _thresholds(value: object) -> object:
    """Take a number, a list of them by tier, or a table of such by task or domain, with `default`."""
    if isinstance(value, Thresholds):
        return value
    table = value if isinstance(value, dict) else {"default": value}
    steps = {str(task): each if isinstance(each, list) else [each] for task, each in table.items()}
    for each in steps.values():
        if not each or not all(_is_score(step) for step in each):
            raise PydanticCustomError("not_thresholds", "expected thresholds")
    by_task = {task: tuple(map(float, each)) for task, each in steps.items()}
    by_tier = by_task.pop("default", Thresholds().by_tier)
    return Thresholds(by_tier=by_tier, by_task=by_task)


def _is_score(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and 0 <= value <= 1


Number = Annotated[float, BeforeValidator(_refuse_bool)]
Count = Annotated[int, BeforeValidator(_refuse_bool)]
Dollars = Annotated[Decimal, BeforeValidator(_refuse_bool)]
TokenDollars = Annotated[Dollars, Field(ge=0, le=100_000, decimal_places=6)]
CallDollars = Annotated[Dollars, Field(ge=0, le=1000, decimal_places=12)]
SinceMs = Annotated[int, BeforeValidator(_since_ms), WithJsonSchema({"type": "string", "format": "date"})]


def _table_of_qualities(value: object) -> object:
    """Take a number as the quality in all domains."""
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return {"default": value} if is_number else value


Share = Annotated[Number, Field(ge=0, le=1)]
Qualities = Annotated[
    dict[str, Share],
    BeforeValidator(_table_of_qualities),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}},
            ]
        }
    ),
]
Minutes = Annotated[
    tuple[int, int], BeforeValidator(_minutes), WithJsonSchema({"type": "string", "pattern": f"^{_HOURS.pattern}$"})
]
_SCORE = {"type": "number", "minimum": 0, "maximum": 1}
_SCORES = {"anyOf": [_SCORE, {"type": "array", "items": _SCORE, "minItems": 1}]}
AcceptAt = Annotated[
    Thresholds,
    BeforeValidator(_thresholds),
    WithJsonSchema({"anyOf": [*_SCORES["anyOf"], {"type": "object", "additionalProperties": _SCORES}]}),
]
Text = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """A TOML table: unknown keys are errors, values are never repeated in pydantic's own messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False)
