"""What routing has learned: shown, and forgotten on an operator's word."""

from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamroute.clock import wall
from streamroute.server.decisions import DECISION_ID
from streamroute.stores.keys import KeyStore, new_key, new_secret
from streamroute.stores.options import LedgerOptions
from tests.support.rig import Rig

RESET = "/admin/routing/reset"


async def post(rig: Rig, path: str, body: bytes, key: str | None = None) -> tuple[int, dict[str, Any]]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with rig.session.post(rig.app.url + path, data=body, headers=headers) as response:
        return response.status, orjson.loads(await response.read())


async def judged(rig: Rig, upstream: str, domain: str, score: float) -> None:
    """Have an answer of an upstream judged."""
    reply = await rig.ask(stream=False, model=upstream, streamroute={"domain": domain})
    body = orjson.dumps({"decision_id": reply.headers[DECISION_ID], "score": score})
    assert (await post(rig, "/v1/feedback", body))[0] == 200


async def learned(rig: Rig) -> list[tuple[str, str, int]]:
    async with rig.session.get(f"{rig.app.url}/status") as response:
        rows = orjson.loads(await response.read())["routing"]["learned"]
        return [(each["upstream"], each["domain"], each["outcomes"]) for each in rows]


async def test_what_is_forgotten() -> None:
    """Of an upstream, in a domain, or all of it; the rest stays."""
    async with Rig.of(None, None) as rig:
        for upstream, domain in (("a", "law"), ("a", "law"), ("a", "code"), ("b", "law"), ("b", "music")):
            await judged(rig, upstream, domain, 1.0)
        assert await learned(rig) == [("a", "code", 1), ("a", "law", 2), ("b", "law", 1), ("b", "music", 1)]
        assert await post(rig, RESET, b'{"upstream": "a"}') == (
            200,
            {"upstream": "a", "domain": None, "forgotten_outcomes": 3},
        )
        assert (await post(rig, RESET, b'{"domain": "law"}'))[1]["forgotten_outcomes"] == 1
        assert await learned(rig) == [("b", "music", 1)]
        assert (await post(rig, RESET, b""))[1]["forgotten_outcomes"] == 1
        assert await learned(rig) == []


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not valid JSON"),
        (b"[]", 400, "a JSON object, or empty"),
        (b'{"upstreams": "a"}', 400, "only upstream and domain"),
        (b'{"upstream": 1}', 400, "`upstream` must be text"),
        (b'{"upstream": "a", "domain": "law"}', 400, "or neither for everything"),
        (b'{"upstream": "c"}', 404, "Nothing was learned of 'c'; of a there was."),
        (b'{"domain": "music"}', 404, "Nothing was learned of 'music'; of law there was."),
    ],
)
async def test_what_is_refused(body: bytes, status: int, words: str) -> None:
    """With words that say what would do; nothing is forgotten."""
    async with Rig.of(None) as rig:
        await judged(rig, "a", "law", 1.0)
        found, refused = await post(rig, RESET, body)
        assert (found, words in refused["error"]["message"]) == (status, True), refused
        assert await learned(rig) == [("a", "law", 1)]


async def test_a_name_while_nothing_was_learned() -> None:
    """There are no names to tell."""
    async with Rig.of(None) as rig:
        found, refused = await post(rig, RESET, b'{"domain": "law"}')
        assert found == 404
        assert refused["error"]["message"] == "Nothing was learned of 'law', nor of anything else."
        assert (await post(rig, RESET, b""))[1]["forgotten_outcomes"] == 0


async def test_operators_only(tmp_path: Path) -> None:
    """A key without `--admin` may not, nor may a page or a GET."""
    options = LedgerOptions(url=f"sqlite:///{tmp_path}/ledger.db", spool_dir=tmp_path)
    assert options.url is not None
    secret = new_secret()
    with closing(KeyStore(options.url)) as store:
        store.create(new_key("app", secret, now_ms=int(wall() * 1000)))
    async with Rig.of(None, ledger=options) as rig:
        await rig.app.keys.refresh()
        assert (await post(rig, RESET, b""))[0] == 401
        assert (await post(rig, RESET, b"", secret))[0] == 403
        async with rig.session.get(rig.app.url + RESET) as response:
            assert response.status == 405
