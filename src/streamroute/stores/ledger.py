"""Entries in a database. Writing one again changes nothing: the first stays."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Engine, Table

from streamroute.core.cost.entry import AttemptEntry, Entry, QualityEntry, RequestEntry
from streamroute.errors import StoreError
from streamroute.stores.database import BUSY_TIMEOUT_S, insert_into, transaction
from streamroute.stores.migrate import open_newest
from streamroute.stores.retention import announce, prune, pruned_before_ms
from streamroute.stores.rollup import Rollup
from streamroute.stores.schema import ATTEMPTS, QUALITY, REQUESTS

Row = dict[str, Any]
ROWS_A_STATEMENT = 50
"""Binding the values of one holds the interpreter's lock, for a fraction of a millisecond."""
_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in (AttemptEntry, RequestEntry, QualityEntry)}
_VALUES = {kind: attrgetter(*names) for kind, names in _NAMES.items()}
_TABLES: dict[type[Entry], Table] = {AttemptEntry: ATTEMPTS, RequestEntry: REQUESTS, QualityEntry: QUALITY}


def row_of(entry: Entry) -> Row:
    """Return an entry as a row that every database takes: no NUL and no half of a surrogate pair, in names that
    clients chose."""
    row: Row = dict(zip(_NAMES[type(entry)], _VALUES[type(entry)](entry), strict=True))
    for name, value in row.items():
        if (type(value) is str and not value.isascii()) or (type(value) is str and "\0" in value):
            row[name] = value.replace("\0", "").encode(errors="replace").decode()
    return row


class Ledger:
    """Writes entries. Used from one thread."""

    def __init__(self, url: str, *, keep_days: int = 0, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """`keep_days`: see `LedgerOptions`."""
        self._url = url
        self._keep_days = keep_days
        self._rollup = Rollup()
        self._busy_timeout_s = busy_timeout_s
        self._engine: Engine | None = None

    def write(self, entries: Sequence[Entry]) -> int:
        """Write all, in one transaction; return how many were refused, each for itself: by the database, or because
        their day is only kept as sums by now.

        Raises StoreError where the database is not to be had now; then none was written.
        """
        engine = self._opened()
        try:
            return self._write_together(engine, entries)
        except Exception as error:
            if not _is_about_entries(error):
                raise
            return self._write_singly(engine, entries)

    def tidy(self, now_ms: int) -> bool:
        """Take a few entries out that are too old; return whether there are more. Raises StoreError."""
        if not self._keep_days:
            return False
        with transaction(self._opened()) as connection:
            announce(connection, now_ms, self._keep_days)
            return prune(connection)

    def close(self) -> None:
        """Close the connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _opened(self) -> Engine:
        """Return the engine of a database that has the newest schema."""
        if self._engine is None:
            engine = open_newest(self._url, busy_timeout_s=self._busy_timeout_s)
            try:
                with transaction(engine) as connection:
                    self._rollup.begin(connection)
            except BaseException:
                engine.dispose()
                raise
            self._engine = engine
        return self._engine

    def _write_together(self, engine: Engine, entries: Sequence[Entry]) -> int:
        if not entries:
            return 0
        with transaction(engine) as connection:
            before_ms = pruned_before_ms(connection)
            timely = [each for each in entries if each.ended_at_ms >= before_ms]
            attempts, requests, _ = (
                _insert(connection, table, [row_of(each) for each in timely if type(each) is kind])
                for kind, table in _TABLES.items()
            )
            self._rollup.add(connection, attempts, requests)
        return len(entries) - len(timely)

    def _write_singly(self, engine: Engine, entries: Sequence[Entry]) -> int:
        """One entry that cannot be written must not keep the others from it."""
        refused = 0
        for entry in entries:
            try:
                refused += self._write_together(engine, [entry])
            except Exception as error:
                if not _is_about_entries(error):
                    raise
                refused += 1
        return refused


def _is_about_entries(error: Exception) -> bool:
    """Return whether it is no trouble of the database, but something in what is written: it refused that, or a spool
    held a line that reads and is no entry."""
    return error.is_refused if isinstance(error, StoreError) else isinstance(error, (TypeError, ValueError))


def _insert(connection: Connection, table: Table, rows: list[Row]) -> list[Row]:
    """Insert what is not there yet; return it."""
    if not rows:
        return []
    keys = list(table.primary_key)
    insert = insert_into(connection, table).on_conflict_do_nothing().returning(*keys)
    page = {"insertmanyvalues_page_size": ROWS_A_STATEMENT}
    inserted = {tuple(key) for key in connection.execute(insert, rows, execution_options=page)}
    new = []
    for row in rows:
        key = tuple(row[each.name] for each in keys)
        if key in inserted:  # once, though it may stand twice among the rows
            inserted.remove(key)
            new.append(row)
    return new
