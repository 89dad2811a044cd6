"""Clients' keys on real sockets: who comes in, what they may ask, how much, and whose spend it is."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamroute.clock import wall
from streamroute.core.cost.charge import EXPECTED_OUTPUT_TOKENS
from streamroute.core.requirements import Requirements
from streamroute.errors import ConfigError
from streamroute.server.options import ServerOptions
from streamroute.simulation.faults import Cut, ErrorStatus, NoResponse
from streamroute.simulation.profile import Profile
from streamroute.stores.keys import KeyStore, new_key, new_secret
from streamroute.stores.options import LedgerOptions
from streamroute.stores.usage import read_usage
from tests.support.rig import TOKENS, Reply, Rig

ALL_LIMITS = [
    f"x-ratelimit-{figure}-{kind}" for figure in ("limit", "remaining", "reset") for kind in ("requests", "tokens")
]


class Desk:
    """Hands out keys, as the command does in another process."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = KeyStore(url)

    def create(self, name: str = "app", *, now_ms: int | None = None, **settings: Any) -> str:
        """Make a key; return its secret."""
        secret = new_secret()
        self.store.create(new_key(name, secret, now_ms=now_ms or int(wall() * 1000), **settings))
        return secret


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Open the key store of a new ledger."""
    desk = Desk(f"sqlite:///{tmp_path}/ledger.db")
    with closing(desk.store):
        yield desk


@asynccontextmanager
async def rig_at(desk: Desk, *scripts: Any, **more: Any) -> AsyncIterator[Rig]:
    folder = Path(desk.url.removeprefix("sqlite:///")).parent
    async with Rig.of(*scripts, ledger=LedgerOptions(url=desk.url, spool_dir=folder), **more) as rig:
        yield rig


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def ask(rig: Rig, secret: str, *, stream: bool = True, **more: Any) -> Reply:
    reply: Reply = await rig.ask(stream=stream, headers={**bearer(secret), **more.pop("headers", {})}, **more)
    return reply


async def get(rig: Rig, path: str, secret: str, *, method: str = "GET") -> tuple[int, dict[str, Any]]:
    async with rig.session.request(method, rig.app.url + path, headers=bearer(secret)) as response:
        return response.status, orjson.loads(await response.read())


def code(reply: Reply) -> tuple[int, object]:
    return reply.status, None if reply.error is None else reply.error["code"]


async def test_from_the_first_key_on_keys_are_asked_for(desk: Desk) -> None:
    """Also when the last one is revoked: nobody who was shut out may come in again because no key is left."""
    async with rig_at(desk, None) as rig:
        assert (await rig.ask(stream=True)).status == 200
        secret = desk.create()
        await rig.app.keys.refresh()
        assert code(await rig.ask(stream=True)) == (401, "invalid_api_key")
        assert (await ask(rig, secret)).text == rig.expected_text
        assert (await rig.ask(stream=True, headers={"x-api-key": secret})).status == 200
        assert code(await ask(rig, secret + "x")) == (401, "invalid_api_key")
        desk.store.revoke("app", now_ms=int(wall() * 1000))
        await rig.app.keys.refresh()
        refused = await ask(rig, secret)
        assert code(refused) == (401, "api_key_revoked")
        assert "'app' was revoked at 20" in str(refused.error)
        assert code(await rig.ask(stream=True)) == (401, "invalid_api_key")
        assert not any(record.has_authorization for record in rig.providers[0].log), "it goes nowhere else"


async def test_an_expired_key_says_so(desk: Desk) -> None:
    """And since when."""
    secret = desk.create(now_ms=1_000, expires_at_ms=86_400_000)
    async with rig_at(desk, None) as rig:
        refused = await ask(rig, secret)
    assert code(refused) == (401, "api_key_expired")
    assert "'app' expired at 1970-01-02T00:00:00.000Z" in str(refused.error)


async def test_both_secrets_work_while_a_rotation_has_grace(desk: Desk) -> None:
    """The one before ends with it, and says what became of it."""
    first, second, third, now_ms = desk.create(), new_secret(), new_secret(), int(wall() * 1000)
    desk.store.rotate("app", second, now_ms=now_ms, previous_until_ms=now_ms + 86_400_000)
    async with rig_at(desk, None) as rig:
        assert [(await ask(rig, secret)).status for secret in (first, second)] == [200, 200]
        desk.store.rotate("app", third, now_ms=now_ms, previous_until_ms=now_ms)
        await rig.app.keys.refresh()
        codes = [code(await ask(rig, secret)) for secret in (first, second, third)]
    assert codes == [(401, "invalid_api_key"), (401, "api_key_replaced"), (200, None)]


async def test_keys_of_the_configuration_go_on_working(desk: Desk) -> None:
    """Beside those of the store; they may do everything."""
    secret = desk.create()
    async with rig_at(desk, None, server=ServerOptions(api_keys=("from-the-file",))) as rig:
        assert [(await ask(rig, each)).status for each in ("from-the-file", secret, "other")] == [200, 200, 401]
        assert (await get(rig, "/admin/upstreams/a/drain", "from-the-file", method="POST"))[0] == 200


async def test_spend_goes_to_the_key(desk: Desk) -> None:
    """Its name always; its team and task where the request names none. Nobody can name another key."""
    secret = desk.create(team="x", task="t")
    async with rig_at(desk, None) as rig:
        await ask(rig, secret)
        await ask(rig, secret, headers={"x-streamroute-team": "y", "x-streamroute-key": "other"}, stream=False)
    rows = {row.by: (row.requests, row.attempts) for row in read_usage(desk.url, ["key", "team", "task"])}
    assert rows == {("app", "x", "t"): (1, 1), ("app", "y", "t"): (1, 1)}


async def test_routes_out_of_bounds(desk: Desk) -> None:
    """403, and what may be used instead; neither upstreams by name nor models of providers are a way around."""
    secret = desk.create(routes=frozenset({"chat"}))
    async with rig_at(desk, None, None) as rig:
        assert (await ask(rig, secret, model="chat")).status == 200
        for model in ("a", "a/model-a", "b/new", "nothing"):
            refused = await ask(rig, secret, model=model)
            assert code(refused) == (403, "permission_denied")
            assert refused.error is not None
            assert refused.error["message"] == f"The key 'app' may not use {model!r}; it may use chat."
            assert (refused.error["type"], refused.error["param"]) == ("permission_error", "model")
        status, models = await get(rig, "/v1/models", secret)
        assert (status, [model["id"] for model in models["data"]]) == (200, ["chat"])
        assert (await get(rig, "/v1/models/a", secret))[0] == 404
        assert len(rig.providers[0].log) == 1


async def test_upstreams_out_of_bounds(desk: Desk) -> None:
    """They are rejected with that reason, as an explanation shows, and never asked, not even as the last resort."""
    secret = desk.create(upstreams=frozenset({"b"}))
    async with rig_at(desk, None, Cut(at_token=0)) as rig:
        foreseen = await rig.session.post(
            f"{rig.app.url}/v1/chat/completions",
            headers={**bearer(secret), "x-streamroute-explain": "1"},
            json={"model": "chat", "messages": [{"role": "user", "content": "Hi"}]},
        )
        explained = await foreseen.json()
        assert [each["upstream"] for each in explained["candidates"]] == ["b"]
        assert explained["rejected"] == [{"upstream": "a", "reason": "the key 'app' may not use it"}]
        assert (await ask(rig, secret)).status == 502
        assert code(await ask(rig, secret, model="a")) == (403, "permission_denied")
        _, models = await get(rig, "/v1/models", secret)
        assert [(each["id"], each["streamroute"]["upstreams"]) for each in models["data"]] == [
            ("chat", ["b"]),
            ("b", ["b"]),
        ]
        unknown = await ask(rig, secret, model="chatt")
        assert code(unknown) == (404, "model_not_found")
        assert "There are chat, b;" in str(unknown.error)
        assert rig.requests[0] == 0


@pytest.mark.parametrize(("allowed", "asked"), [({"c"}, [0, 0, 1]), ({"b"}, [0, 1, 0]), ({"a", "c"}, [1, 0, 0])])
async def test_upstreams_out_of_bounds_in_tiers(desk: Desk, allowed: set[str], asked: list[int]) -> None:
    """A tier of which a key may use nobody is passed over; of one of which it may use some, those are asked."""
    secret = desk.create(upstreams=frozenset(allowed))
    async with rig_at(desk, None, None, None, tiers=("ab", "c")) as rig:
        assert (await ask(rig, secret)).status == 200
        assert rig.requests == asked


async def test_what_a_key_requires_holds_whatever_a_request_says(desk: Desk) -> None:
    """Of each requirement apart; nobody is known to stay in a region here."""
    strict = desk.create("c", requirements=Requirements(min_quality=0.9))
    secret = desk.create(requirements=Requirements(residency="eu", max_ttft_s=30.0))
    easy = desk.create("b", requirements=Requirements(max_ttft_s=30.0))
    async with rig_at(desk, None) as rig:
        refused = await ask(rig, secret)
        assert code(refused) == (400, "requirements_not_met")
        assert "eu" in str(refused.error)
        other = await ask(rig, secret, headers={"x-streamroute-residency": "us"})
        assert code(other) == (400, "requirements_not_met")
        assert "to stay in us, but the key 'app' holds its requests to eu" in str(other.error)
        lenient = await ask(rig, strict, headers={"x-streamroute-min-quality": "0"})
        assert code(lenient) == (400, "requirements_not_met")
        assert (await ask(rig, easy)).status == 200


async def test_what_counts_as_a_request_of_a_minute(desk: Desk) -> None:
    """Whatever is let in, also where the provider refuses it or no upstream will do; of tokens what the client got.
    What cannot be read and a dry run do not count."""
    secret, boss = desk.create(requests_per_min=6, tokens_per_min=60_000), desk.create("boss", is_admin=True)
    async with rig_at(desk, ErrorStatus(status=403)) as rig:

        async def left(**more: Any) -> tuple[int, str]:
            body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], **more}
            headers = {**bearer(secret), **body.pop("headers", {})}
            async with rig.session.post(f"{rig.app.url}/v1/chat/completions", json=body, headers=headers) as response:
                return response.status, response.headers["x-ratelimit-remaining-requests"]

        assert await left() == (502, "5")
        assert rig.requests == [1]
        assert await left(model="nobody") == (404, "4")
        assert await left(streamroute={"residency": "eu"}) == (400, "3")
        assert await left(messages=[]) == (400, "3")
        assert await left(headers={"x-streamroute-explain": "1"}) == (200, "3")
        named = (await get(rig, "/status", boss))[1]["keys"]["named"]
        assert [each["rate_limit"]["remaining_tokens"] for each in named.values() if each["rate_limit"]] == [60_000]


async def test_operators_paths(desk: Desk) -> None:
    """`/admin` wants a key that was made for it; `/status` tells of keys only to such a one, and never a secret."""
    plain, admin = desk.create("plain", requests_per_min=5), desk.create("boss", is_admin=True)
    async with rig_at(desk, None) as rig:
        status, refused = await get(rig, "/admin/upstreams/a/drain", plain, method="POST")
        assert (status, refused["error"]["code"]) == (403, "permission_denied")
        assert "--admin" in refused["error"]["message"]
        assert (await get(rig, "/admin/upstreams/a/drain", admin, method="POST"))[0] == 200
        assert (await get(rig, "/status", plain))[1]["keys"] is None
        document = (await get(rig, "/status", admin))[1]["keys"]
    assert (document["live"], document["trouble"], list(document["named"])) == (2, None, ["boss", "plain"])
    assert document["named"]["plain"]["rate_limit"]["remaining_requests"] == 5
    assert document["named"]["plain"]["shown"] == plain[:10]
    assert plain not in str(document)


async def test_requests_a_minute(desk: Desk) -> None:
    """Of many at once exactly as many pass as the limit allows; each reply says what is left."""
    secret = desk.create(requests_per_min=10, tokens_per_min=100_000)
    free = desk.create("free")
    async with rig_at(desk, None) as rig, asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(rig, secret, stream=i % 2 == 0)) for i in range(40)]
        await asyncio.wait(asking)
        replies = [task.result() for task in asking]
        passed = [reply for reply in replies if reply.status == 200]
        assert sorted({code(reply) for reply in replies}, key=str) == [(200, None), (429, "rate_limit_exceeded")]
        assert len(passed) == 10
        assert sorted(int(reply.headers["x-ratelimit-remaining-requests"]) for reply in passed) == list(range(10))
        for reply in replies:
            assert [name for name in ALL_LIMITS if name not in reply.headers] == []
        refused = next(reply for reply in replies if reply.status == 429)
        assert 0 < int(refused.headers["retry-after"]) <= 6
        assert refused.error is not None
        assert refused.error["type"] == "requests"
        assert "'app' on requests per min (RPM): Limit 10, Used 10, Requested 1. Please try again in" in str(
            refused.error
        )
        other = await ask(rig, free)
        assert other.status == 200
        assert [name for name in ALL_LIMITS if name in other.headers] == []
        bad = await ask(rig, secret, model=7)
        assert (bad.status, bad.headers["x-ratelimit-remaining-requests"]) == (400, "0")
        async with rig.session.get(f"{rig.app.url}/metrics", headers=bearer(free)) as response:
            metrics = await response.text()
    assert 'streamroute_rate_limited_requests_total{key="app",limit="requests"} 30.0' in metrics
    assert 'streamroute_keys{state="live"} 2.0' in metrics


async def test_tokens_a_minute_are_settled(desk: Desk) -> None:
    """Reserved by estimate, and counted in the end as the provider did; an answer that failed costs none."""
    secret = desk.create(tokens_per_min=300)
    async with rig_at(desk, None) as rig:
        reply = await ask(rig, secret)
        prompt = 300 - EXPECTED_OUTPUT_TOKENS - int(reply.headers["x-ratelimit-remaining-tokens"])
        assert 0 < prompt < 50
        again = await ask(rig, secret, stream=False)
        used = 300 - EXPECTED_OUTPUT_TOKENS - prompt - int(again.headers["x-ratelimit-remaining-tokens"])
        assert TOKENS <= used <= TOKENS + 10, "what the first has really taken"
        rig.providers[0].play(NoResponse())
        for _ in range(3):
            assert (await ask(rig, secret, max_tokens=200)).status == 503
        too_large = await ask(rig, secret, messages=[{"role": "user", "content": "x" * 8000}])
        assert code(too_large) == (429, "rate_limit_exceeded")
        assert (too_large.headers["x-should-retry"], "retry-after" in too_large.headers) == ("false", False)
        image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'x' * 8000}"}}
        waits = await ask(rig, secret, messages=[{"role": "user", "content": [image]}])
        assert (code(waits), "retry-after" in waits.headers) == ((429, "rate_limit_exceeded"), True)


async def test_tokens_of_clients_that_leave_are_counted(desk: Desk) -> None:
    """As far as they came; and the rest of the reservation is free again."""
    secret = desk.create(tokens_per_min=1000)
    async with rig_at(desk, None, profile=Profile(tpot_s=0.02, tokens=400)) as rig:
        async with rig.session.post(
            f"{rig.app.url}/v1/chat/completions",
            headers=bearer(secret),
            json={"model": "chat", "stream": True, "max_tokens": 900, "messages": [{"role": "user", "content": "Hi"}]},
        ) as response:
            await response.content.readuntil(b"\n\n")
            response.close()
        await rig.settled()
        report = rig.app.site.limits.report(rig.app.keys.ring.keys[0].caller())
        assert report is not None
        assert 500 < (report.remaining_tokens or 0) < 1000


async def test_a_database_that_is_gone_changes_nothing_for_who_is_known(desk: Desk) -> None:
    """The last known keys work, and `/readyz?verbose` says that they are only that."""
    secret = desk.create()
    async with rig_at(desk, None) as rig:
        spoil(desk)
        await rig.app.keys.refresh()
        assert (await ask(rig, secret)).status == 200
        assert (await ask(rig, "sr-other")).status == 401
        async with rig.session.get(f"{rig.app.url}/readyz?verbose") as response:
            assert response.status == 200
            text = await response.text()
        assert "[+]keys (TROUBLE: no such table: keys; the last known go on working, 1 live) ok" in text


def spoil(desk: Desk) -> None:
    """Take the table away."""
    with closing(sqlite3.connect(desk.url.removeprefix("sqlite:///"))) as connection:
        connection.execute("ALTER TABLE keys RENAME TO gone")


async def test_beyond_this_machine_it_wants_a_key(desk: Desk) -> None:
    """One of the configuration or a live one of the store; a reload that would open it is refused."""
    everywhere = ServerOptions(host="0.0.0.0")  # noqa: S104 - the point
    with pytest.raises(ConfigError, match=r"lets in everyone.*or make a key: streamroute keys create NAME"):
        async with rig_at(desk, None, server=everywhere):
            pass
    secret = desk.create()
    async with rig_at(desk, None, server=everywhere) as rig:
        url = f"http://127.0.0.1:{rig.app.address[1]}/v1/models"
        async with rig.session.get(url, headers=bearer(secret)) as response:
            assert response.status == 200
        async with rig.session.get(url) as response:
            assert response.status == 401
        desk.store.revoke("app", now_ms=1)
        await rig.app.keys.refresh()
        with pytest.raises(ConfigError, match="lets in everyone"):
            await rig.app.reload(rig.app.config)
        here = replace(rig.app.config, server=ServerOptions(host="127.0.0.1"))
        with pytest.raises(ConfigError, match=r"listening on 0\.0\.0\.0 lets in everyone"):
            await rig.app.reload(here)  # it would hold after a restart only


@pytest.mark.parametrize(("stream", "tiers"), [(True, ()), (False, ()), (True, ("a", "b")), (False, ("a", "b"))])
async def test_tokens_of_every_kind_of_answer_count(desk: Desk, stream: bool, tiers: tuple[str, ...]) -> None:
    """Of whole ones and of held ones too: they are delivered after their call has ended."""
    secret = desk.create(tokens_per_min=1000)
    async with rig_at(desk, None, None, tiers=tiers) as rig:
        for _ in range(10):
            assert (await ask(rig, secret, stream=stream, max_tokens=TOKENS)).status == 200
        await rig.settled()
        report = rig.app.site.limits.report(rig.app.keys.ring.keys[0].caller())
        assert report is not None
        assert report.remaining_tokens is not None
        assert report.remaining_tokens < 1000 - 10 * TOKENS * 0.8
