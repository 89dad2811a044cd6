"""Entries in a database. Writing one again changes nothing: the first stays."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from operator import attrgetter

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.dialects import postgresql, sqlite

from streamroute.core.cost.entry import AttemptEntry, Entry, RequestEntry
from streamroute.errors import StoreError
from streamroute.stores.database import BUSY_TIMEOUT_S, transaction
from streamroute.stores.migrate import open_newest
from streamroute.stores.schema import ATTEMPTS, REQUESTS

Row = Mapping[str, object]
_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in (AttemptEntry, RequestEntry)}
_VALUES = {kind: attrgetter(*names) for kind, names in _NAMES.items()}
_TABLES: dict[type[Entry], Table] = {AttemptEntry: ATTEMPTS, RequestEntry: REQUESTS}


def row_of(entry: Entry) -> dict[str, object]:
    """Return an entry as a row that every database takes: no NUL and no half of a surrogate pair, in names that
    clients chose."""
    row = dict(zip(_NAMES[type(entry)], _VALUES[type(entry)](entry), strict=True))
    for name, value in row.items():
        if (type(value) is str and not value.isascii()) or (type(value) is str and "\0" in value):
            row[name] = value.replace("\0", "").encode(errors="replace").decode()
    return row


class Ledger:
    """Writes entries. Used from one thread."""

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._url = url
        self._busy_timeout_s = busy_timeout_s
        self._engine: Engine | None = None

    def write(self, entries: Sequence[Entry]) -> int:
        """Write all, in one transaction; return how many were refused by the database, each for itself.

        Raises StoreError where the database is not to be had now; then none was written.
        """
        engine = self._opened()
        try:
            with transaction(engine) as connection:
                for kind in _TABLES:
                    _insert(connection, kind, [row_of(each) for each in entries if type(each) is kind])
        except StoreError as error:
            if not error.is_refused:
                raise
            return self._write_singly(engine, entries)
        return 0

    def close(self) -> None:
        """Close the connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _opened(self) -> Engine:
        """Return the engine of a database that has the newest schema."""
        if self._engine is None:
            self._engine = open_newest(self._url, busy_timeout_s=self._busy_timeout_s)
        return self._engine

    def _write_singly(self, engine: Engine, entries: Sequence[Entry]) -> int:
        """One entry that cannot be written must not keep the others from it."""
        refused = 0
        for entry in entries:
            try:
                with transaction(engine) as connection:
                    _insert(connection, type(entry), [row_of(entry)])
            except StoreError as error:
                if not error.is_refused:
                    raise
                refused += 1
        return refused


def _insert(connection: Connection, kind: type[Entry], rows: list[dict[str, object]]) -> None:
    if rows:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(dialect.insert(_TABLES[kind]).on_conflict_do_nothing(), rows)
