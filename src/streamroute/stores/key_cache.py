"""The keys as they were last known, on disk: for a start at which the database is not to be had.

Without it such a start would let everyone in, or nobody. It holds what the table holds, no secret.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from streamroute.core.cost.client_key import ClientKey
from streamroute.stores.keys import key_of_row, row_of_key

_log = structlog.get_logger(__name__)


class KeyCache:
    """One file for each database. Trouble with it is logged, and nothing else suffers."""

    def __init__(self, url: str, folder: Path) -> None:
        self._file = folder / f"keys-{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"

    def load(self) -> list[ClientKey]:
        """Return what was saved last, nothing where there is none."""
        try:
            return [key_of_row(row) for row in json.loads(self._file.read_text("utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.exception("keys.cache_unreadable", file=str(self._file), reason=type(error).__name__)
            return []

    def save(self, keys: Sequence[ClientKey]) -> None:
        """Replace the file as a whole; without keys none is made."""
        if not keys and not self._file.exists():
            return
        new = self._file.with_suffix(f".{os.getpid()}.new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new.touch(mode=0o600)
            new.write_text(json.dumps([row_of_key(key) for key in keys]), "utf-8")
            new.replace(self._file)
        except OSError as error:
            _log.warning("keys.cache_not_written", file=str(self._file), reason=error.strerror)
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
