"""Does the answer have the form that was asked for: JSON with its schema, arguments of tools, code that is closed?"""

import json

from streamroute.core.quality.json_schema import violated
from streamroute.core.quality.verdict import NOTHING_AGAINST, Draft, Finding, Wanted

_FENCE = "```"


def form(draft: Draft, wanted: Wanted) -> Finding | None:
    """Check what a machine will read: it either can be read or cannot."""
    if draft.tool_arguments:
        return _of_arguments(draft)
    if wanted.json:
        return _of_json(draft, wanted)
    if _FENCE in draft.text:
        is_open = draft.text.count(_FENCE) % 2 == 1
        return Finding(0.3, "a block of code is not closed") if is_open else NOTHING_AGAINST
    return None


def _of_arguments(draft: Draft) -> Finding:
    for arguments in draft.tool_arguments:
        if not isinstance(_read(arguments or "{}"), dict):
            return Finding(0.0, "the arguments of a tool call are no JSON object")
    return NOTHING_AGAINST


def _of_json(draft: Draft, wanted: Wanted) -> Finding:
    value = _read(draft.text)
    if value is None:
        return Finding(0.0, "it is not JSON")
    keyword = None if wanted.schema is None else violated(value, wanted.schema)
    if keyword is not None:
        return Finding(0.0, f"it does not keep to the schema ({keyword})")
    return NOTHING_AGAINST


def _read(text: str) -> object:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value
