r"""JSON that others wrote: read and written again, fast first and tolerant second.

orjson refuses two things that JSON's grammar allows (RFC 8259, sections 6 and 8.2) and clients' parsers read: half of
a surrogate pair as an escape ("\ud83d"), which providers send when an emoji is split between two chunks, and numbers
beyond a double. To drop such a chunk would be to lose text.
"""

import json
from typing import NoReturn

import orjson


def read_json(data: bytes) -> object:
    """Return the decoded value; raises ValueError with the position of what is wrong."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(data.decode(), parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise ValueError(str(error)) from None


def write_json(value: object) -> bytes:
    """Return `value` as JSON; raises ValueError where it is nested too deeply."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        try:
            return json.dumps(value, separators=(",", ":")).encode()
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
