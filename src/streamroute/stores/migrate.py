"""Bring a database to the newest schema; does nothing where it is there already."""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from streamroute.errors import StoreError
from streamroute.stores.database import open_engine, transaction

HEAD = "0007"
"""The newest step. Compared before alembic is loaded, which takes longer than the whole rest of a start."""
_LOCK = 7_302_151
"""Any number, the same for all: sidecars that start together on one PostgreSQL take turns, as on SQLite anyway."""


def open_newest(url: str, *, busy_timeout_s: float) -> Engine:
    """Return the engine of a database that has the newest schema; raises StoreError."""
    engine = open_engine(url, busy_timeout_s=busy_timeout_s)
    try:
        with transaction(engine) as connection:
            migrate(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def migrate(connection: Connection) -> None:
    """Run the steps that are missing, in the connection's transaction. Raises StoreError for a newer schema."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    found = version(connection)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise StoreError(f"the ledger has schema {found} of a newer streamroute; this one knows {HEAD}")
    from alembic import command  # noqa: PLC0415 - see `HEAD`
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def version(connection: Connection) -> str | None:
    """Return which step a database is at; None where it has no ledger."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
