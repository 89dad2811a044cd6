"""Taking attempts, requests and what was said of answers out of the ledger when they are old. Sums stay.

Rules of the file:

1. Whole days go, and the ledger first says which: from then on nothing that ended before is written, because nobody
   could tell any more whether it was counted. What a spool brings so late is refused, and counted as that.
2. They go a few at a time, so that nobody waits long for the database.
"""

from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from streamroute.stores.schema import ATTEMPTS, LEDGER_STATE, QUALITY, REQUESTS
from streamroute.stores.sums import DAY_MS

BATCH = 500
"""Rows of each table: some 10 ms of a file of SQLite."""


def pruned_before_ms(connection: Connection) -> int:
    """Return before when nothing may be written, until the connection's transaction ends."""
    return int(connection.execute(select(LEDGER_STATE.c.pruned_before_ms).with_for_update(read=True)).scalar_one())


def announce(connection: Connection, now_ms: int, keep_days: int) -> None:
    """Say that days which are older than `keep_days` are about to go.

    None after that of the newest entry: one look at a clock that is years ahead would else have the ledger refuse all
    that comes until then.
    """
    newest_ms = connection.execute(select(func.max(ATTEMPTS.c.ended_at_ms))).scalar_one()
    if newest_ms is None:
        return
    before_ms = min((now_ms - keep_days * DAY_MS) // DAY_MS, newest_ms // DAY_MS + 1) * DAY_MS
    grown = update(LEDGER_STATE).where(LEDGER_STATE.c.pruned_before_ms < before_ms)
    connection.execute(grown.values(pruned_before_ms=before_ms))


def prune(connection: Connection) -> bool:
    """Take out a few of the oldest; return whether there are more."""
    before_ms = connection.execute(select(LEDGER_STATE.c.pruned_before_ms)).scalar_one()
    is_more = False
    for table in (ATTEMPTS, REQUESTS, QUALITY):
        keys = list(table.primary_key)
        query = select(*keys).where(table.c.ended_at_ms < before_ms).order_by(table.c.ended_at_ms).limit(BATCH)
        found: list[dict[str, Any]] = [
            {f"old_{name}": value for name, value in row.items()} for row in connection.execute(query).mappings()
        ]
        if found:
            connection.execute(delete(table).where(*(key == bindparam(f"old_{key.name}") for key in keys)), found)
        is_more = is_more or len(found) == BATCH
    return is_more
