"""Sums of each day, kept in the very transaction that writes what they add up: they are exact after any crash.

Rules of the file:

1. Only rows that are new are added, and the detail's keys say which these are: what is written twice counts once.
2. A day has at most `MAX_GROUPS` groups, and `MAX_USER_GROUPS` by user; more come only of names that clients make up.
   Such names are then replaced by `OTHERS`, first those of tasks, users and teams, then those of models. As long as the
   detail is kept, reports by these names read it instead. Several sidecars on one database may each add as many.
3. Groups are written in the order of their keys, so that sidecars on one database wait for each other in turn.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from streamroute.stores.database import insert_into
from streamroute.stores.schema import ATTEMPTS, GROUPED, LEDGER_STATE, REQUESTS, ROLLUPS, SUMS
from streamroute.stores.sums import DAY_MS, HALF, Row, fate_columns, fate_of_row, sums_over

OTHERS = "(others)"
MAX_GROUPS = 2_000
"""730,000 rows a year, which are added up in about a second."""
MAX_USER_GROUPS = 10_000
MADE_UP = ("task", "user", "team")
"""Names that clients choose freely."""
NAMED = ("route", "upstream", "model", "tier")
"""Names that clients may choose where a provider takes any."""
_USER = GROUPED.index("user")
_DAYS_REMEMBERED = 8
Group = tuple[str | None, ...]
"""Values of `GROUPED`."""
Sums = list[int]
"""Values of `SUMS`."""


class Rollup:
    """Adds rows to the sums of their days. Used from one thread."""

    def __init__(self) -> None:
        self._known: dict[tuple[bool, int], set[str]] = {}
        """The groups of the latest days, to know when there are too many."""

    def add(self, connection: Connection, attempts: Iterable[Row], requests: Iterable[Row]) -> None:
        """Add rows that were not there before, in the connection's transaction."""
        sums: dict[tuple[int, Group], Sums] = {}
        for row in attempts:
            _count(sums, row["ended_at_ms"] // DAY_MS, _group_of_attempt(row), _sums_of_attempt(row))
        for row in requests:
            _count(sums, row["ended_at_ms"] // DAY_MS, _group_of_request(row), _OF_REQUEST)
        self._write(connection, sums)

    def begin(self, connection: Connection) -> None:
        """Add up what a ledger of an earlier version holds, unless that was done."""
        if connection.execute(select(LEDGER_STATE.c.is_rolled_up).with_for_update()).scalar_one():
            return
        sums: dict[tuple[int, Group], Sums] = {}
        for table in (ATTEMPTS, REQUESTS):
            names = [name for name in GROUPED if name in table.c]
            fate = fate_columns() if table is ATTEMPTS else []
            by = [(table.c.ended_at_ms // DAY_MS).label("day"), *(table.c[name] for name in names), *fate]
            for found in connection.execute(select(*by, *sums_over(table)).group_by(*by)):
                row = found._asdict()
                group = _group_of_attempt(row) if table is ATTEMPTS else _group_of_request(row)
                _count(sums, row["day"], group, [int(row[name]) for name in SUMS])
        self._write(connection, sums)
        connection.execute(update(LEDGER_STATE).values(is_rolled_up=True))

    def _write(self, connection: Connection, sums: Mapping[tuple[int, Group], Sums]) -> None:
        written: dict[tuple[bool, int, str], tuple[Group, bool, Sums]] = {}
        for (day, group), values in sums.items():
            for is_by_user in (False, True):
                named = group if is_by_user else (*group[:_USER], None, *group[_USER + 1 :])
                digest, named, is_collapsed = self._place(connection, (is_by_user, day), named)
                known = written.get((is_by_user, day, digest))
                if known is None:
                    written[is_by_user, day, digest] = (named, is_collapsed, list(values))
                else:
                    _add_to(known[2], values)
                    written[is_by_user, day, digest] = (known[0], known[1] or is_collapsed, known[2])
        rows = [
            {
                "is_by_user": is_by_user,
                "day": day,
                "digest": digest,
                "is_collapsed": is_collapsed,
                **dict(zip(GROUPED, group, strict=True)),
                **dict(zip(SUMS, values, strict=True)),
            }
            for (is_by_user, day, digest), (group, is_collapsed, values) in sorted(written.items())
        ]
        if rows:
            insert = insert_into(connection, ROLLUPS)
            grown: dict[str, Any] = {name: ROLLUPS.c[name] + insert.excluded[name] for name in SUMS}
            # A client may call its task `(others)` itself, before any name was given up.
            grown["is_collapsed"] = ROLLUPS.c.is_collapsed | insert.excluded.is_collapsed
            keys = ["is_by_user", "day", "digest"]
            connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=grown), rows)

    def _place(self, connection: Connection, place: tuple[bool, int], group: Group) -> tuple[str, Group, bool]:
        """Return under which key a group is kept, what of its names is kept, and whether any was given up."""
        known = self._known.get(place)
        if known is None:
            is_by_user, day = place
            query = select(ROLLUPS.c.digest).where(ROLLUPS.c.is_by_user == is_by_user, ROLLUPS.c.day == day)
            known = self._known[place] = set(connection.execute(query).scalars())
            while len(self._known) > _DAYS_REMEMBERED:
                del self._known[next(iter(self._known))]
        digest, room = _digest(group), MAX_USER_GROUPS if place[0] else MAX_GROUPS
        is_collapsed = digest not in known and len(known) >= room
        if is_collapsed:
            group = _collapsed(group, MADE_UP)
            digest = _digest(group)
            if digest not in known and len(known) >= 2 * room:
                group = _collapsed(group, NAMED)
                digest = _digest(group)
        known.add(digest)
        return digest, group, is_collapsed


def _group_of_attempt(row: Row) -> Group:
    return (*(row[name] for name in GROUPED[:-1]), fate_of_row(row))


def _group_of_request(row: Row) -> Group:
    return tuple(row.get(name) for name in GROUPED)


def _sums_of_attempt(row: Row) -> Sums:
    cost = row["cost"]
    tokens = [row[name] for name in SUMS[2:7]]
    return [0, 1, *tokens, (cost or 0) // HALF, (cost or 0) % HALF, int(cost is None)]


_OF_REQUEST = [int(name == "requests") for name in SUMS]


def _count(sums: dict[tuple[int, Group], Sums], day: int, group: Group, values: Sums) -> None:
    known = sums.get((day, group))
    if known is None:
        sums[day, group] = list(values)
    else:
        _add_to(known, values)


def _add_to(total: Sums, values: Sums) -> None:
    for i, value in enumerate(values):
        total[i] += value


def _collapsed(group: Group, names: Iterable[str]) -> Group:
    """Return a group with some of its names replaced, where it has them."""
    gone = {GROUPED.index(name) for name in names}
    return tuple(OTHERS if i in gone and value is not None else value for i, value in enumerate(group))


def _digest(group: Group) -> str:
    """Return a key for a group: a null is none that a database compares."""
    return hashlib.blake2b(repr(group).encode(), digest_size=12).hexdigest()
