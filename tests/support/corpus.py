"""Recorded exchanges with real providers, where they are at hand: they are too large for this repository.

Found in the folder that `STREAMROUTE_SHARED_DATA` names, or in `../shared/data` beside the checkout.
"""

import gzip
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson
import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One exchange."""

    id: str
    host: str
    status: int
    stream: bool
    request: bytes
    response: bytes


def recorded_chats() -> tuple[Recorded, ...]:
    """Return all exchanges in OpenAI's chat format; skips the test where there are none."""
    return recorded("openai_chat")


def _folder() -> Path:
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return Path(os.environ.get("STREAMROUTE_SHARED_DATA", default))


def shared_data(name: str) -> Path:
    """Return a folder of the shared data; skips the test where it is not there."""
    path = _folder() / name
    if not path.is_dir():
        pytest.skip(f"no recorded outcomes: set STREAMROUTE_SHARED_DATA to the folder that has {name}/")
    return path


@cache
def recorded(wire_format: str) -> tuple[Recorded, ...]:
    """Return all exchanges in a wire format; skips the test where there are none."""
    name = f"wire/{wire_format}.jsonl.gz"
    path = _folder() / name
    if not path.is_file():
        pytest.skip(f"no recorded exchanges: set STREAMROUTE_SHARED_DATA to the folder that has {name}")
    with gzip.open(path, "rb") as lines:
        rows = [orjson.loads(line) for line in lines]
    return tuple(
        Recorded(
            id=row["id"],
            host=row["host"],
            status=row["status"],
            stream=row["stream"],
            request=_bytes(row["request"]),
            response=_bytes(row["response"]),
        )
        for row in rows
    )


def _bytes(value: object) -> bytes:
    return value.encode() if isinstance(value, str) else orjson.dumps(value)
