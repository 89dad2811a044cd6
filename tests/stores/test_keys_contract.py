"""What every database does with clients' keys."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import Engine, event, text

from streamroute.core.caller import Caller
from streamroute.core.cost.client_key import ClientKey, digest_of, key_budgets
from streamroute.core.cost.key_ring import Barred, KeyRing
from streamroute.core.money import Money
from streamroute.core.requirements import NO_REQUIREMENTS, Requirements
from streamroute.core.upstream import UpstreamId
from streamroute.errors import StoreError
from streamroute.stores import key_watch
from streamroute.stores.database import open_engine, transaction
from streamroute.stores.key_cache import KeyCache
from streamroute.stores.key_reader import KeyReader
from streamroute.stores.key_watch import KeyWatch
from streamroute.stores.keys import KeyStore, new_key, new_secret
from streamroute.stores.ledger import Ledger
from streamroute.stores.migrate import HEAD
from streamroute.stores.options import LedgerOptions
from tests.support.entries import NOON_MS, attempt_entry
from tests.support.older_ledger import take_back

DAY_MS = 86_400_000


@pytest.fixture
def store(url: str) -> Iterator[KeyStore]:
    """Open the key store of an empty database."""
    with closing(KeyStore(url)) as opened:
        yield opened


def made(name: str = "app", secret: str | None = None, **settings: Any) -> ClientKey:
    return new_key(name, secret or new_secret(), now_ms=settings.pop("now_ms", NOON_MS), **settings)


def test_a_key_comes_back_as_it_was(store: KeyStore) -> None:
    """With all that can be said of it, or nothing."""
    bare = made("bare")
    full = made(
        "Zürich desk",
        expires_at_ms=NOON_MS + DAY_MS,
        team="x",
        task="t",
        routes=frozenset({"chat", "fast"}),
        upstreams=frozenset({UpstreamId("lab/m"), UpstreamId("a")}),
        requests_per_min=10**9,
        tokens_per_min=10**12,
        budgets=key_budgets("Zürich desk", ["5USD/day", "100.000000000001USD/month"], ["4USD/day"]),
        may_use_unpriced=True,
        is_admin=True,
        requirements=Requirements(min_quality=0.9, max_cost=Money(10**11), residency="eu", latency_class="batch"),
    )
    store.create(bare)
    store.create(full)
    assert store.all() == [full, bare]


def test_secrets_are_random_and_not_kept(store: KeyStore, url: str) -> None:
    """256 bits each; the database holds a digest, and a beginning to recognise them by."""
    secrets = [new_secret() for _ in range(100)]
    assert len(set(secrets)) == 100
    assert all(secret.startswith("sr-") and len(secret) == 46 for secret in secrets)
    store.create(made(secret=secrets[0]))
    store.rotate("app", secrets[1], now_ms=NOON_MS, previous_until_ms=NOON_MS)
    engine = open_engine(url)
    with transaction(engine) as connection:
        rows = str(connection.execute(text("SELECT * FROM keys")).all())
    engine.dispose()
    assert secrets[1][:10] in rows
    for secret in secrets[:2]:
        assert secret[:12] not in rows
        assert digest_of(secret).hex() in rows


def test_a_name_is_taken_until_its_key_is_revoked(store: KeyStore) -> None:
    """Then it is free again, and the key that had it stays in the list."""
    store.create(made())
    with pytest.raises(StoreError, match="there is a key 'app' already; rotate or revoke it") as raised:
        store.create(made(now_ms=NOON_MS + 1))
    assert raised.value.is_refused
    store.revoke("app", now_ms=NOON_MS + 2)
    store.create(made(now_ms=NOON_MS + 3))
    assert [(key.created_at_ms, key.revoked_at_ms) for key in store.all()] == [
        (NOON_MS + 3, None),
        (NOON_MS, NOON_MS + 2),
    ]


def test_a_key_that_has_expired_makes_room(store: KeyStore) -> None:
    """It cannot be rotated back to life."""
    store.create(made(expires_at_ms=NOON_MS + 5))
    with pytest.raises(StoreError, match="has expired"):
        store.rotate("app", new_secret(), now_ms=NOON_MS + 5, previous_until_ms=NOON_MS + DAY_MS)
    store.create(made(now_ms=NOON_MS + 6))
    assert [key.state(NOON_MS + 7) for key in store.all()] == ["live", "revoked"]


def test_rotation(store: KeyStore) -> None:
    """The new secret works at once, the one before for its grace, the one before that no more; all else stays."""
    first, second, third = new_secret(), new_secret(), new_secret()
    store.create(made(secret=first, team="x"))
    rotated = store.rotate("app", second, now_ms=NOON_MS + 1, previous_until_ms=NOON_MS + DAY_MS)
    assert (rotated.shown, rotated.team, rotated.rotated_at_ms) == (second[:10], "x", NOON_MS + 1)
    ring = KeyRing(store.all())
    for secret in (first, second):
        assert isinstance(ring.find(digest_of(secret), NOON_MS + DAY_MS - 1), Caller)
    assert isinstance(ring.find(digest_of(first), NOON_MS + DAY_MS), Barred)
    assert store.rotate("app", third, now_ms=NOON_MS + 2, previous_until_ms=NOON_MS + 2).id == rotated.id
    ring = KeyRing(store.all())
    assert ring.find(digest_of(first), NOON_MS + 3) is None
    assert isinstance(ring.find(digest_of(second), NOON_MS + 3), Barred)
    assert isinstance(ring.find(digest_of(third), NOON_MS + 3), Caller)


def test_mistakes_name_the_nearest(store: KeyStore) -> None:
    """Among those that are not revoked."""
    with pytest.raises(StoreError, match="there is none"):
        store.revoke("app", now_ms=NOON_MS)
    for name in ("support-desk", "billing"):
        store.create(made(name))
    with pytest.raises(StoreError, match="did you mean 'support-desk'"):
        store.revoke("suport-desk", now_ms=NOON_MS)
    with pytest.raises(StoreError, match="there are billing, support-desk") as raised:
        store.rotate("zzz", new_secret(), now_ms=NOON_MS, previous_until_ms=NOON_MS)
    assert raised.value.is_refused


def test_two_who_make_the_same_key_at_once(url: str) -> None:
    """One of them gets it, the other is told."""
    with closing(KeyStore(url)):
        pass  # the tables are there

    def create(_: int) -> bool:
        with closing(KeyStore(url)) as store, suppress(StoreError):
            store.create(made())
            return True
        return False

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == [False, False, False, True]


def test_a_reader_sees_every_change_once(store: KeyStore, url: str) -> None:
    """Creation, rotation, revocation, also several between two looks; nothing else makes it read all keys."""
    with closing(KeyReader(LedgerOptions(url=url))) as reader:
        assert reader.poll() == []
        assert reader.poll() is None
        store.create(made("a"))
        store.create(made("b"))
        assert [key.name for key in reader.poll() or ()] == ["a", "b"]
        with closing(Ledger(url)) as ledger:
            ledger.write([attempt_entry()])
        assert reader.poll() is None
        store.rotate("a", new_secret(), now_ms=NOON_MS, previous_until_ms=NOON_MS)
        assert [key.rotated_at_ms for key in reader.poll() or ()] == [NOON_MS, None]
        store.revoke("a", now_ms=NOON_MS)
        store.create(made("a", now_ms=NOON_MS + 1))
        assert [key.revoked_at_ms for key in reader.poll() or ()] == [None, NOON_MS, None]
        assert reader.poll() is None


def test_keys_join_a_ledger_that_is_there(url: str) -> None:
    """The step from the first schema keeps all entries."""
    with closing(Ledger(url)) as ledger:
        ledger.write([attempt_entry()])
    take_back(url, "0001")
    engine = open_engine(url)
    with closing(KeyReader(LedgerOptions(url=url))) as reader:
        assert reader.poll() is None, "an old ledger has no keys; that is no trouble"
        with closing(KeyStore(url)) as store:
            store.create(made())
        assert [key.name for key in reader.poll() or ()] == ["app"]
    with transaction(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM attempts")).scalar() == 1
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
    engine.dispose()


def test_keys_of_before_are_read_as_they_are(url: str) -> None:
    """A reader changes nothing, and a start must not wait for whoever brings the database to the newest schema."""
    with closing(KeyStore(url)) as store:
        store.create(made(requirements=Requirements(min_quality=0.9)))
    engine = open_engine(url)
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE keys DROP COLUMN requirements"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0006'"))
    with closing(KeyReader(LedgerOptions(url=url))) as reader:
        assert [(key.name, key.requirements) for key in reader.poll() or ()] == [("app", NO_REQUIREMENTS)]
    with closing(KeyStore(url)) as store:
        assert [key.requirements for key in store.all()] == [NO_REQUIREMENTS]
    engine.dispose()


async def test_the_last_known_keys_stay_while_there_is_trouble(store: KeyStore, url: str) -> None:
    """Also those that the trouble is about; when it is over, what has changed is seen, and told."""
    told: list[int] = []
    watch = KeyWatch(LedgerOptions(url=url))
    watch.on_change(lambda ring: told.append(len(ring.keys)))
    store.create(made())
    await watch.refresh()
    engine = open_engine(url)
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE keys RENAME TO hidden"))
    await watch.refresh()
    figures = watch.figures()
    assert figures is not None
    assert figures.trouble is not None
    assert (figures.live + figures.expired, len(watch.ring.keys)) == (1, 1)
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE hidden RENAME TO keys"))
        connection.execute(text("UPDATE keys SET budgets = 'x', writes = writes + 1"))
    await watch.refresh()
    figures = watch.figures()
    assert figures is not None
    assert "Error" in (figures.trouble or ""), "a row that somebody has spoilt"
    with transaction(engine) as connection:
        connection.execute(text("UPDATE keys SET budgets = '[]', writes = writes + 1"))
    engine.dispose()
    store.create(made("b"))
    await watch.refresh()
    figures = watch.figures()
    assert figures is not None
    assert (figures.trouble, told) == (None, [0, 1, 2])
    await watch.aclose()


async def test_a_database_that_is_not_there_yet_is_no_trouble(tmp_path: Path) -> None:
    """Whoever writes entries makes it; and without a ledger there are no keys at all."""
    watch = KeyWatch(LedgerOptions(url=f"sqlite:///{tmp_path}/ledger.db", spool_dir=tmp_path))
    await watch.refresh()
    figures = watch.figures()
    assert figures is not None
    assert (figures.trouble, watch.ring.keys, os.listdir(tmp_path)) == (None, (), [])
    await watch.aclose()
    without = KeyWatch(LedgerOptions())
    await without.refresh()
    await without.run()
    assert without.figures() is None
    await without.aclose()


async def test_a_server_that_is_down_is_trouble_from_the_start(tmp_path: Path) -> None:
    """It is said, and it does not raise."""
    watch = KeyWatch(LedgerOptions(url="postgresql+psycopg://nobody@127.0.0.1:9/none", spool_dir=tmp_path))
    await watch.open()
    figures = watch.figures()
    assert figures is not None
    assert "refused" in (figures.trouble or "")
    await watch.aclose()


async def test_a_start_without_the_database_knows_the_keys_of_before(store: KeyStore, url: str, tmp_path: Path) -> None:
    """Nobody is let in, or shut out, by a database that is down at the wrong moment; when it is back, it is heard."""
    options = LedgerOptions(url=url, spool_dir=tmp_path / "state")
    required = Requirements(min_quality=0.5)
    key = made(team="x", budgets=key_budgets("app", ["5USD/day"], ["80%"]), requirements=required)
    store.create(key)
    before = KeyWatch(options)
    await before.open()
    await before.aclose()
    [kept] = (tmp_path / "state").glob("keys-*")
    assert KeyCache(url, tmp_path / "state").load() == [key]
    assert kept.stat().st_mode & 0o077 == 0, "for its owner only"
    engine = open_engine(url)
    with transaction(engine) as connection:
        connection.execute(text("ALTER TABLE keys RENAME TO hidden"))
        connection.execute(text("CREATE TABLE keys (id TEXT)"))
    after = KeyWatch(options)
    await after.open()
    assert after.ring.keys == (key,)
    figures = after.figures()
    assert figures is not None
    assert figures.trouble is not None
    with transaction(engine) as connection:
        connection.execute(text("DROP TABLE keys"))
        connection.execute(text("ALTER TABLE hidden RENAME TO keys"))
    engine.dispose()
    store.revoke("app", now_ms=NOON_MS)
    await after.refresh()
    assert [each.revoked_at_ms for each in after.ring.keys] == [NOON_MS]
    await after.aclose()


async def test_a_file_that_is_not_there_is_no_revocation(tmp_path: Path) -> None:
    """Its disk may not be there yet: the keys of before go on working until a database is there that says otherwise."""
    options = LedgerOptions(url=f"sqlite:///{tmp_path}/disk/ledger.db", spool_dir=tmp_path / "state")
    key = made()
    KeyCache(str(options.url), tmp_path / "state").save([key])
    watch = KeyWatch(options)
    await watch.open()
    assert watch.ring.keys == (key,)
    (tmp_path / "disk").mkdir()
    with closing(KeyStore(str(options.url))):
        await watch.refresh()
    assert watch.ring.keys == ()
    await watch.aclose()


async def test_a_first_look_that_takes_too_long(store: KeyStore, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start does not wait for it, the next look finds what that one found for nobody, and no connection stays."""
    is_answering = threading.Event()
    closed: list[Engine] = []

    class Late(KeyReader):
        def poll(self) -> list[ClientKey] | None:
            found = super().poll()
            assert self._engine is not None
            event.listen(self._engine, "engine_disposed", closed.append)
            is_answering.wait(10)
            return found

    monkeypatch.setattr(key_watch, "FIRST_LOOK_S", 0.05)
    monkeypatch.setattr(key_watch, "KeyReader", Late)
    key = made()
    store.create(key)
    watch = KeyWatch(LedgerOptions(url=url))
    await watch.open()
    figures = watch.figures()
    assert figures is not None
    assert (watch.ring.keys, figures.trouble) == ((), "the database has not answered within 0.05 s")
    assert not closed
    is_answering.set()
    await watch.refresh()
    assert watch.ring.keys == (key,)
    await watch.aclose()
    with anyio.fail_after(10):
        while len(closed) < 2:
            await anyio.lowlevel.checkpoint()


def test_what_is_kept_on_disk_may_be_missing_or_spoilt(tmp_path: Path) -> None:
    """Then nothing is known; and it is not made where there is nothing to keep, or no room for it."""
    cache = KeyCache("sqlite:///x", tmp_path / "new")
    assert cache.load() == []
    cache.save([])
    assert list(tmp_path.iterdir()) == []
    cache.save([made()])
    [file] = (tmp_path / "new").iterdir()
    cache.save([])
    assert cache.load() == []
    file.write_text("{")
    assert cache.load() == []
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("not a folder")
    cache.save([made()])


async def test_a_listener_that_fails_does_not_end_the_watch(store: KeyStore, url: str) -> None:
    """Others are told, and so is it, the next time; a key that is revoked later is refused."""
    told: list[int] = []

    def broken(ring: KeyRing) -> None:
        if ring.keys:
            raise RuntimeError("a defect")

    watch = KeyWatch(LedgerOptions(url=url))
    watch.on_change(broken)
    watch.on_change(lambda ring: told.append(ring.states(NOON_MS)["live"]))
    store.create(made())
    await watch.refresh()
    store.revoke("app", now_ms=NOON_MS)
    await watch.refresh()
    await watch.aclose()
    assert told == [0, 1, 0]
