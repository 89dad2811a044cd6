"""The event loop that commands run on: uvloop where it is installed, else asyncio's own."""

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TypeVar, TypeVarTuple

import anyio

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")


def run_on_fast_loop(function: Callable[[*_Args], Awaitable[_T]], *args: *_Args) -> _T:
    """Run an async function to its end on a new loop."""
    return anyio.run(function, *args, backend_options={"use_uvloop": find_spec("uvloop") is not None})
