"""What every database of the ledger does."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from streamroute.core.cost.report import GROUPINGS, Grouping
from streamroute.core.money import MAX_MONEY
from streamroute.errors import StoreError
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.ledger import Ledger
from streamroute.stores.request_reader import find_request
from streamroute.stores.schema import METADATA
from streamroute.stores.usage import read_usage
from tests.support.entries import NOON_MS, attempt_entry, quality_entry, request_entry

DAY_MS = 86_400_000


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Open a ledger in an empty database."""
    with closing(Ledger(url, busy_timeout_s=0.01)) as opened:
        yield opened


def test_an_entry_is_written_once_however_often_it_comes(ledger: Ledger, url: str) -> None:
    """Also beside new ones, and also from another process."""
    ledger.write([attempt_entry(), request_entry()])
    with closing(Ledger(url)) as other:
        other.write([attempt_entry(), attempt_entry(number=2), request_entry(), attempt_entry(number=2)])
    [row] = read_usage(url, [])
    assert (row.requests, row.attempts, row.cost) == (1, 2, 2 * 10**9)


def test_a_database_that_is_there_is_taken_as_it_is(ledger: Ledger, url: str) -> None:
    """A second start finds the schema; one from the future is left alone."""
    ledger.write([attempt_entry()])
    with closing(Ledger(url)) as again:
        again.write([attempt_entry("dec_2")])
    engine = open_engine(url)
    with transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with closing(Ledger(url)) as old, pytest.raises(StoreError, match="newer streamroute") as raised:
        old.write([attempt_entry()])
    assert not raised.value.is_refused, "entries wait in the spool for the right version"


def test_migrations_come_to_the_schema_that_the_code_has(ledger: Ledger, url: str) -> None:
    """Whoever changes `stores.schema` writes a migration."""
    ledger.write([attempt_entry()])
    engine = open_engine(url)
    with transaction(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_one_entry_that_cannot_be_written_keeps_no_other_from_it(ledger: Ledger, url: str) -> None:
    """A count beyond 64 bits is refused alone, and counted."""
    entries = [attempt_entry("dec_1"), attempt_entry("dec_2", input_tokens=10**30), attempt_entry("dec_3")]
    assert ledger.write(entries) == 1
    assert read_usage(url, [])[0].attempts == 2


def test_names_that_clients_make_up_are_written(ledger: Ledger, url: str) -> None:
    """Whatever bytes they hold."""
    assert ledger.write([attempt_entry(user="a\0b\udc80", task="Zürich"), attempt_entry("dec_2", user="\0")]) == 0
    assert sorted(row.by for row in read_usage(url, ["user"])) == [("",), ("ab?",)]


def test_every_grouping_has_the_same_sums(ledger: Ledger, url: str) -> None:
    """Attempts belong to whom they called, requests to who answered, none to nobody; nothing is lost between them."""
    ledger.write(
        [
            attempt_entry("r1", 1, upstream="a", outcome="failed", cost=0, task="support", team="x"),
            attempt_entry("r1", 2, upstream="b", provider="other", model="m-2", task="support", team="x"),
            request_entry("r1", upstream="b", provider="other", model="m-2", task="support", team="x"),
            attempt_entry("r2", 1, cost=None, user="ann", ended_at_ms=NOON_MS + DAY_MS, route="fast"),
            request_entry("r2", user="ann", ended_at_ms=NOON_MS + DAY_MS, route="fast"),
            request_entry("r3", upstream=None, provider=None, model=None, outcome="failed", attempts=0),
            attempt_entry("probe_1", 1, route=None, cause="probe", cost=7),
        ]
    )
    one_by_one: list[list[Grouping]] = [[each] for each in GROUPINGS]
    for by in [[], *one_by_one, list(GROUPINGS)]:
        rows = read_usage(url, by)
        assert sum(row.requests for row in rows) == 3, by
        assert sum(row.attempts for row in rows) == 4, by
        assert sum(row.cost for row in rows) == 10**9 + 7, by
        assert sum(row.unpriced_attempts for row in rows) == 1, by
        assert sum(row.input_tokens for row in rows) == 400, by
    by_upstream = {row.by[0]: (row.requests, row.attempts) for row in read_usage(url, ["upstream"])}
    assert by_upstream == {"a": (1, 3), "b": (1, 1), None: (1, 0)}
    assert {row.by[0] for row in read_usage(url, ["day"])} == {NOON_MS // DAY_MS, NOON_MS // DAY_MS + 1}


def test_sums_are_taken_from_a_moment_on(ledger: Ledger, url: str) -> None:
    """To the millisecond."""
    ledger.write([attempt_entry("r1", ended_at_ms=NOON_MS), attempt_entry("r2", ended_at_ms=NOON_MS - 1)])
    assert [row.attempts for row in read_usage(url, [], NOON_MS)] == [1]
    assert read_usage(url, ["task"], NOON_MS + 1) == read_usage(url, [], NOON_MS + 1) == []


def test_sums_may_be_larger_than_64_bits(ledger: Ledger, url: str) -> None:
    """Ten million dollars are ten million dollars."""
    ledger.write([attempt_entry(f"r{i}", cost=MAX_MONEY - 1) for i in range(11)])
    assert read_usage(url, [])[0].cost == 11 * (MAX_MONEY - 1) > 2**63


def test_a_locked_database_is_said_to_be_so(tmp_path: Path) -> None:
    """SQLite: another writer holds it. Nothing was written, and it may be tried again."""
    url = f"sqlite:///{tmp_path}/ledger.db"
    engine = open_engine(url)
    with closing(Ledger(url, busy_timeout_s=0.01)) as ledger:
        ledger.write([attempt_entry("r1")])
        with transaction(engine), pytest.raises(StoreError, match="locked") as raised:
            ledger.write([attempt_entry("r2")])
        assert not raised.value.is_refused
        ledger.write([attempt_entry("r2")])
    engine.dispose()
    assert read_usage(url, [])[0].attempts == 2


def test_a_reader_creates_nothing(tmp_path: Path) -> None:
    """`usage` before the first `serve` says that there is no ledger."""
    with pytest.raises(StoreError, match="there is no ledger at"):
        read_usage(f"sqlite:///{tmp_path}/ledger.db", [])
    assert list(tmp_path.iterdir()) == []


def test_a_request_is_found_with_what_was_said_of_its_answer(ledger: Ledger, url: str) -> None:
    """One word of each source about each upstream, the first; also from another process. Others' are not in it."""
    ledger.write([request_entry("r1", domain="law", route_tier=1, predicted=0.75, propensity=0.5), request_entry("r2")])
    mine = [quality_entry("r1", score=0.1, label="é\0"), quality_entry("r1", source="audit", weight=4.0, upstream="b")]
    ledger.write([*mine, quality_entry("r2"), quality_entry("r3")])
    with closing(Ledger(url)) as other:
        assert other.write([quality_entry("r1", score=0.9)]) == 0
    found = find_request(url, "r1", 1.0)
    assert found is not None
    assert found.request == request_entry("r1", domain="law", route_tier=1, predicted=0.75, propensity=0.5)
    assert sorted(found.quality, key=lambda each: each.score) == [quality_entry("r1", score=0.1, label="é"), mine[1]]
    assert find_request(url, "r3", 1.0) is None


def test_what_was_said_of_answers_goes_when_it_is_old(ledger: Ledger, url: str) -> None:
    """As attempts and requests do; what comes later is refused."""
    ledger.write([attempt_entry("r9", ended_at_ms=NOON_MS + 5 * DAY_MS)])
    ledger.write([request_entry("r1"), quality_entry("r1"), quality_entry("r2", ended_at_ms=NOON_MS + 5 * DAY_MS)])
    with closing(Ledger(url, keep_days=2)) as tidy:
        while tidy.tidy(NOON_MS + 5 * DAY_MS):
            pass
        assert tidy.write([quality_entry("r3")]) == 1
    engine = open_engine(url)
    with transaction(engine) as connection:
        assert connection.execute(text("SELECT ledger_id FROM quality")).scalars().all() == ["r2"]
    engine.dispose()
    assert find_request(url, "r1", 1.0) is None
