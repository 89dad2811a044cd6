"""Settings of the gate of a route with tiers, as they stand in the file."""

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from streamroute.core.gate import CallingAssessor


def _by_tier(value: object) -> object:
    """Take a list of names for all tiers, or one of such lists by tier."""
    return [value] if isinstance(value, list) and not any(isinstance(each, list) for each in value) else value


_NAMES = {"type": "array", "items": {"enum": ["agreement", "judge"]}}
Assess = Annotated[
    list[list[CallingAssessor]],
    BeforeValidator(_by_tier),
    WithJsonSchema({"anyOf": [_NAMES, {"type": "array", "items": _NAMES}]}),
]
