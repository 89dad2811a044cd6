"""Clients' keys in the ledger's database. A secret is never here: it is made, its digest is kept, it is shown once."""

import difflib
import json
import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, inspect, select, update

from streamroute.core.cost.client_key import SHOWN_CHARS, ClientKey, amount_text, digest_of, key_budgets
from streamroute.core.requirements import NO_REQUIREMENTS, Requirements
from streamroute.core.routing.explain_match import explain_requirements
from streamroute.core.upstream import UpstreamId
from streamroute.errors import RequestError, StoreError
from streamroute.stores.database import transaction
from streamroute.stores.migrate import open_newest
from streamroute.stores.schema import KEYS
from streamroute.wire.requirements import FIELD, take_requirements

BUSY_TIMEOUT_S = 5.0
"""A person waits for it, and what they want must not fail because entries are being written."""
_SECRET_BYTES = 32
"""256 bits, of which `SHOWN_CHARS` gives 42 away."""
_PLAIN = (
    "id", "name", "shown", "created_at_ms", "expires_at_ms", "revoked_at_ms", "rotated_at_ms", "previous_until_ms",
    "team", "task", "requests_per_min", "tokens_per_min", "may_use_unpriced", "is_admin",
)  # fmt: skip
"""Fields that are kept as they are."""


def new_secret() -> str:
    """Return a new secret."""
    return f"sr-{secrets.token_urlsafe(_SECRET_BYTES)}"


def new_key(name: str, secret: str, *, now_ms: int, **settings: Any) -> ClientKey:
    """Return a key for a secret; `settings` are fields of `ClientKey`."""
    return ClientKey(
        id=f"key_{uuid.uuid4().hex}",
        name=name,
        shown=secret[:SHOWN_CHARS],
        digest=digest_of(secret),
        created_at_ms=now_ms,
        **settings,
    )


class KeyStore:
    """Changes keys; for the command line. All methods raise StoreError, `is_refused` for what can never be done."""

    def __init__(self, url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self._engine = open_newest(url, busy_timeout_s=busy_timeout_s)

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def all(self) -> list[ClientKey]:
        """Return every key that there ever was, by name; a name's latest first."""
        with transaction(self._engine) as connection:
            return read_keys(connection)

    def create(self, key: ClientKey) -> None:
        """Keep a new key. Its name may be that of one that is revoked, or has expired and is revoked by this."""
        taken = StoreError(f"there is a key {key.name!r} already; rotate or revoke it", is_refused=True)
        try:
            with transaction(self._engine) as connection:
                before = _kept(connection, key.name)
                if before is not None:
                    if before.state(key.created_at_ms) == "live":
                        raise taken
                    _change(connection, before, revoked_at_ms=key.created_at_ms)
                connection.execute(insert(KEYS), {**row_of_key(key), "writes": 1})
        except StoreError as error:
            if error.is_refused and error is not taken:  # another one was quicker
                raise taken from error
            raise

    def rotate(self, name: str, secret: str, *, now_ms: int, previous_until_ms: int) -> ClientKey:
        """Give the live key of that name a new secret; the present one stays good for a while, the one before ends."""
        with transaction(self._engine) as connection:
            key = _live(connection, name, now_ms)
            return _change(
                connection,
                key,
                digest=digest_of(secret).hex(),
                shown=secret[:SHOWN_CHARS],
                rotated_at_ms=now_ms,
                previous_digest=key.digest.hex(),
                previous_until_ms=previous_until_ms,
            )

    def revoke(self, name: str, *, now_ms: int) -> ClientKey:
        """End the key of that name, also one that has expired."""
        with transaction(self._engine) as connection:
            key = _kept(connection, name)
            if key is None:
                raise _no_such_key(connection, name)
            return _change(connection, key, revoked_at_ms=now_ms)


def read_keys(connection: Connection) -> list[ClientKey]:
    """Return every key that there ever was, by name; a name's latest first. Columns that the database does not have yet
    are left out: whoever writes entries is about to bring it to the newest schema."""
    there = {each["name"] for each in inspect(connection).get_columns(KEYS.name)}
    ordered = select(*[each for each in KEYS.c if each.name in there]).order_by(
        KEYS.c.name, KEYS.c.created_at_ms.desc()
    )
    return [key_of_row(row) for row in connection.execute(ordered).mappings()]


def _live(connection: Connection, name: str, now_ms: int) -> ClientKey:
    key = _kept(connection, name)
    if key is None:
        raise _no_such_key(connection, name)
    if key.state(now_ms) != "live":
        raise StoreError(f"the key {name!r} has expired; create it anew", is_refused=True)
    return key


def _kept(connection: Connection, name: str) -> ClientKey | None:
    """Return the key of that name that is not revoked; it cannot be changed by others until the transaction ends."""
    found = select(KEYS).where(KEYS.c.name == name, KEYS.c.revoked_at_ms.is_(None)).with_for_update()
    row = connection.execute(found).mappings().first()
    return None if row is None else key_of_row(row)


def _change(connection: Connection, key: ClientKey, **values: object) -> ClientKey:
    changed = update(KEYS).where(KEYS.c.id == key.id).values(**values, writes=KEYS.c.writes + 1)
    connection.execute(changed)
    return key_of_row(connection.execute(select(KEYS).where(KEYS.c.id == key.id)).mappings().one())


def _no_such_key(connection: Connection, name: str) -> StoreError:
    names: Sequence[str] = connection.execute(select(KEYS.c.name).where(KEYS.c.revoked_at_ms.is_(None))).scalars().all()
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    known = f"there are {', '.join(sorted(names))}" if names else "there is none"
    hint = f"did you mean {near[0]!r}?" if near else known
    return StoreError(f"there is no key {name!r} that is not revoked; {hint}", is_refused=True)


def row_of_key(key: ClientKey) -> dict[str, object]:
    """Return a key as a row of the table, without `writes`."""
    return {
        **{name: getattr(key, name) for name in _PLAIN},
        "digest": key.digest.hex(),
        "previous_digest": None if key.previous_digest is None else key.previous_digest.hex(),
        "routes": _list(key.routes),
        "upstreams": _list(key.upstreams),
        "budgets": json.dumps(
            [
                [amount_text(each.limit, each.window)]
                + ([] if each.warn_at is None else [amount_text(each.warn_at, each.window)])
                for each in key.budgets
            ]
        ),
        "requirements": json.dumps(required) if (required := explain_requirements(key.requirements)) else None,
    }


def key_of_row(row: Mapping[Any, Any]) -> ClientKey:
    """Return the key that a row of the table is."""
    budgets = json.loads(row["budgets"])
    limits, warnings = [each[0] for each in budgets], [text for each in budgets for text in each[1:]]
    routes, upstreams = (None if row[name] is None else json.loads(row[name]) for name in ("routes", "upstreams"))
    return ClientKey(
        **{name: row[name] for name in _PLAIN},
        digest=bytes.fromhex(row["digest"]),
        previous_digest=None if row["previous_digest"] is None else bytes.fromhex(row["previous_digest"]),
        routes=None if routes is None else frozenset(routes),
        upstreams=None if upstreams is None else frozenset(map(UpstreamId, upstreams)),
        budgets=key_budgets(row["name"], limits, warnings),
        requirements=_requirements(row.get("requirements")),
    )


def _requirements(text: str | None) -> Requirements:
    try:
        return NO_REQUIREMENTS if text is None else take_requirements({FIELD: json.loads(text)})
    except RequestError as error:
        raise ValueError(error.message) from None


def _list(names: Iterable[str] | None) -> str | None:
    return None if names is None else json.dumps(sorted(names))
