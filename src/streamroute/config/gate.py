"""Settings of the gate of a route with tiers, as they stand in the file."""

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from streamroute.config.fields import Dollars, Number, Table
from streamroute.core.gate import AuditOptions, CallingAssessor

_AUDIT = AuditOptions()


def _by_tier(value: object) -> object:
    """Take a list of names for all tiers, or one of such lists by tier."""
    return [value] if isinstance(value, list) and not any(isinstance(each, list) for each in value) else value


class AuditTable(Table):
    """`audit` of a route, see `core.gate.AuditOptions`."""

    share: Number = Field(default=_AUDIT.share, ge=0, le=1)
    max_loss: Number = Field(default=_AUDIT.max_loss, ge=0, le=1)
    max_usd_per_day: Dollars = Field(default=_AUDIT.max_usd_per_day, ge=0, le=1_000_000, decimal_places=6)


_NAMES = {"type": "array", "items": {"enum": ["agreement", "judge"]}}
Assess = Annotated[
    list[list[CallingAssessor]],
    BeforeValidator(_by_tier),
    WithJsonSchema({"anyOf": [_NAMES, {"type": "array", "items": _NAMES}]}),
]
