"""The event loop that commands run on: uvloop where it is installed, else asyncio's own."""

import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar, TypeVarTuple

import anyio

SWITCH_INTERVAL_S = 0.001
"""How long a thread may keep the interpreter's lock from the event loop. Python's 5 ms are twice what a token of a fast
stream takes; the ledger's writer is such a thread."""

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


def run_on_fast_loop(function: Callable[[*_Args], Awaitable[_T]], *args: *_Args) -> _T:
    """Run an async function to its end on a new loop."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return anyio.run(function, *args, backend_options={"use_uvloop": find_spec("uvloop") is not None})
