"""Does a call of a tool keep to what the request says of that tool?"""

import json

from streamroute.core.quality.json_schema import violated
from streamroute.core.quality.verdict import NOTHING_AGAINST, Draft, Finding, Wanted


def arguments(draft: Draft, wanted: Wanted) -> Finding | None:
    """Hold each call against the tool's schema; whether its arguments are JSON at all is for `form` to say."""
    if not draft.tool_names or not wanted.tool_schemas:
        return None
    for name, text in zip(draft.tool_names, draft.tool_arguments, strict=True):
        if name not in wanted.tool_schemas:
            return Finding(0.0, "it calls a tool that was not offered")
        try:
            value = json.loads(text or "{}")
        except (ValueError, RecursionError):
            continue
        keyword = violated(value, wanted.tool_schemas[name])
        if keyword is not None:
            return Finding(0.0, f"the arguments of a tool call do not keep to its schema ({keyword})")
    return NOTHING_AGAINST
