"""`usage.cost`: what a request has cost, in US dollars, put into an answer that is otherwise left as it came.

OpenRouter's answers have the field too, for what it charges itself. Where we know the cost, ours takes its place: it
counts every call that was made for the request; where we do not, theirs stays.
"""

import re
from collections.abc import Mapping

from orjson import Fragment

from streamroute.wire.json_text import read_json, write_json

_USAGE = re.compile(rb'"usage"\s*:\s*\{(?=\s*")')
"""The beginning of a usage object that is not empty. Within a text the quotes would be escaped."""


def with_cost(data: bytes, cost_usd: str | None) -> bytes:
    """Return an answer or a chunk with its cost, a number with all its digits; as it is where it has no usage, or
    nobody knows the cost.

    The digits are put in where they belong, so that nothing else of the text changes; where that place is not clear,
    the whole is written anew.
    """
    if cost_usd is None:
        return data
    try:
        payload = read_json(data)
    except ValueError:
        return data
    usage = payload.get("usage") if isinstance(payload, dict) else None
    if not isinstance(payload, dict) or not isinstance(usage, Mapping) or not usage:
        return data
    value, found = cost_usd.encode(), list(_USAGE.finditer(data))
    if len(found) == 1 and "cost" not in usage:
        end = found[0].end()
        return b'%b"cost":%b,%b' % (data[:end], value, data[end:])
    try:
        return write_json({**payload, "usage": {**usage, "cost": Fragment(value)}})
    except (TypeError, ValueError):
        return data  # written by the tolerant writer only, or not at all: text comes before cost


def with_cost_event(event: bytes, cost_usd: str | None) -> bytes:
    """The same for an event of a stream, `data: ...` without its end."""
    return event if cost_usd is None else b"data: " + with_cost(event.removeprefix(b"data:").strip(), cost_usd)
