"""The connection to a ledger's database. Exceptions of SQLAlchemy end here, as `StoreError`."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from streamroute.clock import thread_now
from streamroute.errors import StoreError

BUSY_TIMEOUT_S = 1.0
"""How long to wait for another writer of a SQLite file; after that the entries go to the spool, and are tried again."""
CONNECT_TIMEOUT_S = 3
STEPS_BETWEEN_LOOKS = 100_000
"""Of SQLite's virtual machine: about a millisecond."""


def open_engine(
    url: str, *, is_reader: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S, timeout_s: float | None = None
) -> Engine:
    """Return an engine that connects when it is used; raises StoreError. A reader creates nothing, and sees one state
    in all of a transaction. `timeout_s`: how long a connection may be used, counted from when it was made."""
    parts = make_url(url)
    if parts.get_backend_name() != "sqlite":
        return _open_postgres(parts, is_reader=is_reader, timeout_s=timeout_s)
    file = Path(parts.database or "")

    def connect(connection: Any, record: object) -> None:
        connection.isolation_level = None  # transactions begin below: the driver would begin them too late
        connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_s * 1000)}")
        if timeout_s is not None:
            until = thread_now() + timeout_s
            connection.set_progress_handler(lambda: thread_now() > until, STEPS_BETWEEN_LOOKS)
        if not is_reader:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # committed is committed, also when the power fails

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if is_reader else "BEGIN IMMEDIATE")

    if is_reader:
        if not file.is_file():
            raise StoreError(f"there is no ledger at {file}")
    else:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"the folder of {file} cannot be made: {error.strerror}") from error
    engine = create_engine(parts.set(database=str(file)), connect_args={"check_same_thread": False})
    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)
    return engine


def _open_postgres(url: URL, *, is_reader: bool, timeout_s: float | None) -> Engine:
    options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT_S}
    if timeout_s is not None:
        options["options"] = f"-c statement_timeout={int(timeout_s * 1000)}"
    level = "REPEATABLE READ" if is_reader else "READ COMMITTED"
    return create_engine(url, pool_size=1, pool_pre_ping=True, isolation_level=level, connect_args=options)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Begin and commit; raises StoreError, `is_refused` where the database took exception to what it was given."""
    try:
        with engine.begin() as connection:
            yield connection
    except (DataError, IntegrityError, OverflowError, UnicodeError) as error:
        raise StoreError(_first_line(error), is_refused=True) from error
    except SQLAlchemyError as error:
        raise StoreError(_first_line(error)) from error


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an INSERT that knows what to do with rows that are there already: a `sqlite.Insert` or its twin."""
    # Only the one that is used: either brings the adapters of all its drivers.
    dialect = "postgresql" if connection.dialect.name == "postgresql" else "sqlite"
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


def _first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return (str(cause).splitlines() or [type(cause).__name__])[0][:200]
