"""Databases to run the contract on: SQLite always, PostgreSQL where the environment names one to be used up."""

import os
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

POSTGRES = os.environ.get("STREAMROUTE_TEST_POSTGRES", "")
"""A URL such as `postgresql+psycopg://user@127.0.0.1/test`; each process of tests makes itself a database beside it."""


@pytest.fixture(scope="session")
def own_postgres() -> str:
    """Make this process's database, as tests may run in several at once; skips where there is no server."""
    if not POSTGRES:
        pytest.skip("STREAMROUTE_TEST_POSTGRES names no server")
    name = f"tests_{os.getpid()}"
    engine = create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/ledger.db"
    postgres: str = request.getfixturevalue("own_postgres")
    engine = create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgres
