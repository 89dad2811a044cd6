"""Databases to run the contract on: SQLite always, PostgreSQL where the environment names one to be used up."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

POSTGRES = os.environ.get("STREAMROUTE_TEST_POSTGRES", "")
"""A URL such as `postgresql+psycopg://user@127.0.0.1/test`; its schema `public` is emptied."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Name an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new/ledger.db"
        return
    if not POSTGRES:
        pytest.skip("STREAMROUTE_TEST_POSTGRES names no server")
    engine = create_engine(POSTGRES)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    yield POSTGRES
