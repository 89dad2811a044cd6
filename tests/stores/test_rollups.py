"""The sums of days are those of the rows, whatever happens to the rows."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from streamroute.core.cost.entry import AttemptEntry, Entry, RequestEntry
from streamroute.core.cost.fate import WASTED, fate_of
from streamroute.core.cost.report import DAY_MS, GROUPINGS, Grouping, UsageQuery, UsageRow, month_of, usage_rows
from streamroute.errors import StoreError
from streamroute.stores import rollup
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.ledger import Ledger
from streamroute.stores.schema import ATTEMPTS, REQUESTS, ROLLUPS
from streamroute.stores.usage import read_lines, read_usage, whole_days
from tests.support.entries import NOON_MS, attempt_entry, request_entry
from tests.support.older_ledger import take_back

NOON_DAY = NOON_MS // DAY_MS
NAMES = st.sampled_from([None, "", "a", "b", "(others)"])


def entries() -> st.SearchStrategy[list[Entry]]:
    """Some attempts and requests of some days, several of them under the same key."""
    shared = dict.fromkeys(("task", "user", "team", "key", "model"), NAMES)
    at = st.integers(NOON_MS - 3 * DAY_MS, NOON_MS + 3 * DAY_MS)
    attempt = st.builds(
        attempt_entry,
        st.sampled_from(["r1", "r2", "r3", "r4"]),
        st.integers(1, 3),
        **{**shared, "model": st.sampled_from(["m-1", "m-2"])},
        ended_at_ms=at,
        route=st.sampled_from([None, "chat"]),
        tier=st.sampled_from([None, "flex"]),
        cause=st.sampled_from(["first", "hedge", "race", "probe"]),
        outcome=st.sampled_from(["succeeded", "failed", "cancelled"]),
        cancel_reason=st.sampled_from(["lost", "client_gone"]),
        ttft_s=st.sampled_from([None, 0.5]),
        cost=st.sampled_from([None, 0, 1, 10**6, 10**18 - 1]),
        cached_input_tokens=st.integers(0, 9),
    )
    request = st.builds(request_entry, st.sampled_from(["r1", "r2", "r3", "r4", "r5"]), ended_at_ms=at, **shared)
    return st.lists(st.one_of(attempt, request), max_size=12)


def kept(entries: Sequence[Entry]) -> list[Entry]:
    """Return what counts: the first of each key."""
    found: dict[object, Entry] = {}
    for entry in entries:
        key = (entry.ledger_id, entry.attempt) if isinstance(entry, AttemptEntry) else entry.ledger_id
        found.setdefault(key, entry)
    return list(found.values())


def value_of(entry: Entry, name: Grouping) -> object:
    day = entry.ended_at_ms // DAY_MS
    return {"day": day, "month": month_of(day)}.get(
        name, getattr(entry, "tier" if name == "service_tier" else name, None)
    )


def expected(entries: Sequence[Entry], by: Sequence[Grouping]) -> dict[tuple[object, ...], list[int]]:
    """Add up by hand."""
    sums: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    for entry in entries:
        row = sums[tuple(value_of(entry, name) for name in by)]
        if isinstance(entry, RequestEntry):
            row[0] += 1
            continue
        for i, value in enumerate((1, entry.cached_input_tokens, entry.cost or 0, int(entry.cost is None))):
            row[i + 1] += value
    return dict(sums)


def shown(rows: Sequence[UsageRow]) -> dict[tuple[object, ...], list[int]]:
    return {
        row.by: [row.requests, row.attempts, row.cached_input_tokens, row.cost, row.unpriced_attempts] for row in rows
    }


def wipe(url: str) -> None:
    """Empty the ledger, which is quicker than a new one for each example."""
    with closing(Ledger(url)) as ledger:
        ledger.write([])
    engine = open_engine(url)
    with transaction(engine) as connection:
        for table in (ATTEMPTS, REQUESTS, ROLLUPS):
            connection.execute(delete(table))
    engine.dispose()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(entries(), min_size=1, max_size=3),
    by=st.lists(st.sampled_from(GROUPINGS), unique=True, max_size=3),
    since=st.integers(-4, 4),
    half=st.sampled_from([0, 1, DAY_MS // 2]),
    room=st.sampled_from([1, 3, 2000]),
)
def test_sums_by_anything_are_the_sums_of_the_rows(
    url: str,
    batches: list[list[Entry]],
    by: list[Grouping],
    since: int,
    half: int,
    room: int,
) -> None:
    """With nulls, with entries that come again, from any moment to any, also where a day had too many names."""
    wipe(url)
    before = (rollup.MAX_GROUPS, rollup.MAX_USER_GROUPS)
    rollup.MAX_GROUPS = rollup.MAX_USER_GROUPS = room
    since_ms = (NOON_DAY + since) * DAY_MS + half
    until_ms = since_ms + 2 * DAY_MS + half
    try:
        with closing(Ledger(url)) as ledger:
            for batch in batches:
                ledger.write([*batch, *batch[:2]])
            ledger.write(batches[0])
    finally:
        rollup.MAX_GROUPS, rollup.MAX_USER_GROUPS = before
    ledger_entries = kept([entry for batch in batches for entry in batch])
    assert shown(read_usage(url, by)) == expected(ledger_entries, by)
    within = [entry for entry in ledger_entries if since_ms <= entry.ended_at_ms < until_ms]
    assert shown(read_usage(url, by, since_ms, until_ms)) == expected(within, by)
    wanted = [entry for entry in ledger_entries if entry.task in {None, "a"}]
    assert shown(read_usage(url, by, only={"task": (None, "a")})) == expected(wanted, by)
    flex = [entry for entry in ledger_entries if getattr(entry, "tier", None) == "flex"]
    assert shown(read_usage(url, by, only={"service_tier": ("flex",)})) == expected(flex, by)


def total(url: str, by: Sequence[Grouping] = ()) -> dict[tuple[object, ...], tuple[int, int, int]]:
    return {row.by: (row.requests, row.attempts, row.cost) for row in read_usage(url, by)}


def rows_of(url: str) -> tuple[int, ...]:
    engine = open_engine(url, is_reader=True)
    with transaction(engine) as connection:
        found = [
            connection.execute(select(func.count()).select_from(each)).scalar_one() for each in (ATTEMPTS, REQUESTS)
        ]
    engine.dispose()
    return tuple(found)


def test_what_is_old_goes_and_its_sums_stay(url: str) -> None:
    """A few rows at a time; what a spool brings later of those days is refused, for it may have been counted."""
    old = [attempt_entry(f"r{i}", user=f"u{i}", ended_at_ms=NOON_MS + i % 3 * DAY_MS) for i in range(1500)]
    requests = [request_entry(f"r{i}", user=f"u{i}", ended_at_ms=NOON_MS + i % 3 * DAY_MS) for i in range(1500)]
    with closing(Ledger(url, keep_days=10)) as ledger:
        ledger.write([*old, *requests])
        before = [total(url, by) for by in ((), ("day",), ("user",), ("user", "day"))]
        now_ms = NOON_MS + 12 * DAY_MS
        assert not ledger.tidy(NOON_MS + 10 * DAY_MS), "the day that is ten days old is kept whole"
        assert rows_of(url) == (1500, 1500)
        rounds = 1
        while ledger.tidy(now_ms):
            rounds += 1
        assert rounds == 3
        assert rows_of(url) == (500, 500)
        assert [total(url, by) for by in ((), ("day",), ("user",), ("user", "day"))] == before
        assert ledger.write([*old[:10], attempt_entry("late", ended_at_ms=NOON_MS)]) == 8
        assert [total(url, by) for by in ((), ("day",), ("user",), ("user", "day"))] == before
        since = read_usage(url, ["day"], NOON_MS + DAY_MS + 1)
        assert [row.by for row in since] == [(NOON_DAY + 1,), (NOON_DAY + 2,)], "a day without its rows is taken whole"


def test_nothing_goes_where_all_is_to_be_kept(url: str) -> None:
    """`keep_days` 0."""
    with closing(Ledger(url)) as ledger:
        ledger.write([attempt_entry()])
        assert not ledger.tidy(NOON_MS + 9999 * DAY_MS)
    assert rows_of(url) == (1, 0)


def test_a_ledger_that_had_no_sums_gets_them(url: str) -> None:
    """Once, when it is opened; so that a ledger of the version before reads the same."""
    with closing(Ledger(url)) as ledger:
        ledger.write([attempt_entry("r1"), attempt_entry("r2", cost=None, user="u"), request_entry("r1")])
        before = [total(url, [by]) for by in GROUPINGS]
    take_back(url, "0002")
    with pytest.raises(StoreError, match="of this version"):
        read_usage(url, [])
    for _ in range(2):
        with closing(Ledger(url)) as ledger:
            ledger.write([])
            assert [total(url, [by]) for by in GROUPINGS] == before


def test_too_many_names_share_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """First those of tasks and users, then of models; who is asked by name is looked up while the rows are there."""
    monkeypatch.setattr(rollup, "MAX_GROUPS", 3)
    monkeypatch.setattr(rollup, "MAX_USER_GROUPS", 3)
    with closing(Ledger(url, keep_days=1)) as ledger:
        ledger.write([attempt_entry(f"r{i}", task=f"t{i}", model=f"m{i}", user="u") for i in range(50)])
        by_task = {(f"t{i}",): (0, 1, 10**9) for i in range(50)}
        assert total(url, ["task"]) == by_task
        assert len(total(url, ["user", "model"])) == 50
        engine = open_engine(url, is_reader=True)
        with transaction(engine) as connection:
            assert connection.execute(select(func.count()).select_from(ROLLUPS)).scalar_one() <= 2 * (2 * 3 + 1)
        engine.dispose()
        ledger.tidy(NOON_MS + 3 * DAY_MS)
        assert total(url, ["provider"]) == {("lab",): (0, 50, 50 * 10**9)}
        rows = total(url, ["task"])
        assert sum(attempts for _, attempts, _ in rows.values()) == 50
        assert ("(others)",) in rows


def test_what_was_wasted_is_told_by_its_fate(url: str) -> None:
    """From the sums of whole days and from single rows alike."""
    made: list[tuple[dict[str, Any], str]] = [
        ({"outcome": "succeeded"}, "answer"),
        ({"outcome": "cancelled", "cancel_reason": "lost", "cause": "hedge"}, "hedge_lost"),
        ({"outcome": "cancelled", "cancel_reason": "lost", "cause": "race"}, "race_lost"),
        ({"outcome": "cancelled", "cancel_reason": "lost", "cause": "first"}, "overtaken"),
        ({"outcome": "cancelled", "cancel_reason": "client_gone"}, "client_gone"),
        ({"outcome": "cancelled", "cancel_reason": "aborted"}, "aborted"),
        ({"outcome": "failed", "ttft_s": None}, "failed"),
        ({"outcome": "failed", "ttft_s": 0.1}, "cut"),
        ({"outcome": "succeeded", "route": None}, "probe"),
        ({"outcome": "succeeded", "is_rejected": True}, "rejected"),
        ({"outcome": "cancelled", "cancel_reason": "lost", "cause": "speculation"}, "speculation"),
        ({"outcome": "succeeded", "cause": "agreement"}, "agreement"),
        ({"outcome": "succeeded", "cause": "judge"}, "judge"),
        ({"outcome": "cancelled", "cancel_reason": "aborted", "cause": "audit"}, "audit"),
    ]
    with closing(Ledger(url)) as ledger:
        ledger.write([attempt_entry(f"r{i}", cost=10**i, **more) for i, (more, _) in enumerate(made)])
    assert {fate for _, fate in made} == {"answer", *WASTED}
    for since_ms in (0, NOON_MS):
        [row] = usage_rows(read_lines(url, UsageQuery(since_ms=since_ms, is_waste_told=True)))
        assert row.wasted == {fate: 10**i for i, (_, fate) in enumerate(made) if i}


def test_a_question_that_takes_too_long_is_ended(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the database itself, so that no thread is left behind."""
    with closing(Ledger(url)) as ledger:
        ledger.write([attempt_entry(f"r{i}", user=f"u{i}") for i in range(3000)])
    monkeypatch.setattr("streamroute.stores.database.STEPS_BETWEEN_LOOKS", 10)
    query = UsageQuery(by=("task", "user", "day"), since_ms=NOON_MS)
    with pytest.raises(StoreError, match=r"interrupted|timeout"):
        _ = [read_lines(url, query, timeout_s=0.001) for _ in range(50)]


@pytest.mark.parametrize(
    ("since", "until", "pruned", "whole", "parts"),
    [
        (0, None, 0, (0, None), []),
        (1, None, 0, (1, None), [(1, DAY_MS)]),
        (1, None, DAY_MS, (0, None), []),
        (5, 9, 0, (1, 1), [(5, 9)]),
        (9, 5, 0, (1, 1), []),
        (5, 9, DAY_MS, (0, 1), []),
        (5, 2 * DAY_MS + 9, 0, (1, 2), [(5, DAY_MS), (2 * DAY_MS, 2 * DAY_MS + 9)]),
        (DAY_MS, 2 * DAY_MS, 0, (1, 2), []),
        (5, DAY_MS, 0, (1, 1), [(5, DAY_MS)]),
        (5, DAY_MS + 1, DAY_MS, (0, 1), [(DAY_MS, DAY_MS + 1)]),
    ],
)
def test_whole_days(
    since: int, until: int | None, pruned: int, whole: tuple[int, int | None], parts: list[Any]
) -> None:
    """What is not a whole day is read row by row, except where the rows are gone."""
    first, end, found = whole_days(since, until, pruned)
    assert (first, None if until is None else end) == whole
    assert found == parts


def test_every_fate_has_a_cause() -> None:
    """Whatever an entry says; a probe beside a user's request that loses was a probe."""
    find: Callable[..., str] = fate_of
    assert find(is_asked=True, cause="probe", outcome="cancelled", cancel_reason="lost", has_begun=False) == "probe"
    assert find(is_asked=True, cause="x", outcome="y", cancel_reason=None, has_begun=True) == "aborted"


def test_a_clock_that_is_ahead_does_not_close_the_ledger(url: str) -> None:
    """No day goes after that of the newest entry: one look at a wrong clock must not refuse years."""
    with closing(Ledger(url, keep_days=1)) as ledger:
        ledger.write([attempt_entry("r1")])
        ledger.tidy(NOON_MS + 5 * 365 * DAY_MS)
        assert ledger.write([attempt_entry("r2"), attempt_entry("r3", ended_at_ms=NOON_MS + DAY_MS)]) == 1
        assert total(url)[()][1] == 2, "what is of that day may have been counted"


def test_a_name_like_ours_does_not_hide_that_names_were_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may call its task `(others)`: the day is read one by one all the same."""
    monkeypatch.setattr(rollup, "MAX_GROUPS", 3)
    monkeypatch.setattr(rollup, "MAX_USER_GROUPS", 3)
    with closing(Ledger(url)) as ledger:
        ledger.write([attempt_entry("first", task="(others)", user=None, team=None, key=None)])
        ledger.write([attempt_entry(f"r{i}", task=f"t{i}", user=None, team=None, key=None) for i in range(20)])
        assert len(total(url, ["task"])) == 21
