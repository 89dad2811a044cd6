"""Arrays in a file that is replaced as a whole: what a process has learned, for the next one.

Rules of the file:

1. Who reads sees a whole state, the old or the new one: it is written beside, flushed to the disk, and renamed.
2. A file that cannot be read is put aside (`.broken`), with a line in the log that says so; the process begins anew.
   So is one of another version.
3. It is not compressed: that would be most of a second of a core for ten megabytes, every time.
4. Nothing in it is code: pickled objects are refused.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from streamroute.errors import StoreError

VERSION = 1
State = Mapping[str, NDArray[Any]]
_VERSION = "streamroute_state"

_log = structlog.get_logger(__name__)


class ForeignFileError(StoreError):
    """What is in a file is damaged, or nothing that `save_state` has written."""


def save_state(path: Path, state: State) -> None:
    """Replace the file; raises StoreError. Blocks."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("wb") as file:
            np.savez(file, **{_VERSION: np.array(VERSION)}, **state)  # type: ignore[arg-type]  # names are ours
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error


def load_state(path: Path) -> State | None:
    """Return the saved state, None where there is none or what is there cannot be read; then it is put aside."""
    try:
        return read_state(path)
    except StoreError as error:
        put_aside(path, str(error))
        return None


def read_state(path: Path) -> State | None:
    """Return the saved state, None where there is none; raises StoreError, and ForeignFileError of it. Blocks."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            state = {name: file[name] for name in file.files}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror or error}"[:300]) from error
    except Exception as error:  # of numpy and zipfile, whose words advise people who program
        raise ForeignFileError(
            f"{path} cannot be read: it is damaged, or nothing that streamroute has saved"
        ) from error
    version = state.pop(_VERSION, None)
    if version is None:
        raise ForeignFileError(f"{path} has no version; this streamroute reads {VERSION}")
    if version.shape or version.dtype.kind not in "iu" or int(version) != VERSION:
        found = f"version {version}"[:100]
        raise StoreError(f"{path} has {found}; this streamroute reads {VERSION}")
    return state


def put_aside(path: Path, reason: str) -> None:
    """Rename a file that nobody can read, so that a person can look at it and the next state has its place."""
    aside = path.with_name(f"{path.name}.broken")
    try:
        path.replace(aside)
    except OSError as error:
        _log.error("state.unreadable", file=str(path), reason=reason, aside=None, trouble=error.strerror)
    else:
        _log.error("state.unreadable", file=str(path), reason=reason, aside=str(aside))
