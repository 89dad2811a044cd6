"""`POST /v1/feedback`: from a client's word to the decision, the ledger and the metrics."""

import asyncio
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from streamroute.clock import wall
from streamroute.core.observation import Observation, QualityObservation
from streamroute.core.quality.quality_outcome import QualityOutcome
from streamroute.core.routing.decision_log import MAX_DECISIONS
from streamroute.core.upstream import UpstreamId
from streamroute.server import feedback
from streamroute.server.decisions import DECISION_ID
from streamroute.simulation.faults import ErrorStatus, NoResponse
from streamroute.simulation.profile import Profile
from streamroute.stores.keys import KeyStore, new_key, new_secret
from streamroute.stores.options import LedgerOptions
from tests.support.rig import QUICK, Rig


async def say(
    rig: Rig, body: object, *, key: str | None = None, path: str = "/v1/feedback"
) -> tuple[int, dict[str, Any]]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with rig.session.post(rig.app.url + path, json=body, headers=headers) as response:
        return response.status, orjson.loads(await response.read())


async def judge(rig: Rig, id_: str, score: float, **more: Any) -> tuple[int, dict[str, Any]]:
    return await say(rig, {"decision_id": id_, "score": score, **more.pop("also", {})}, **more)


async def asked(rig: Rig, **more: Any) -> str:
    reply = await rig.ask(stream=False, **more)
    return reply.headers[DECISION_ID]


async def document(rig: Rig, path: str) -> dict[str, Any]:
    async with rig.session.get(rig.app.url + path) as response:
        found: dict[str, Any] = orjson.loads(await response.read())
        return found


def ledger_at(folder: Path, **more: Any) -> LedgerOptions:
    return LedgerOptions(url=f"sqlite:///{folder}/ledger.db", spool_dir=folder, flush_interval_s=0.02, **more)


async def rows(folder: Path, count: int) -> list[dict[str, Any]]:
    """Return what the ledger has of judgements, once there are so many."""
    with closing(sqlite3.connect(folder / "ledger.db")) as database:
        database.row_factory = sqlite3.Row
        for _ in range(500):
            with suppress(sqlite3.OperationalError):  # the tables are still being made
                found = [dict(row) for row in database.execute("SELECT * FROM quality ORDER BY ended_at_ms, source")]
                if len(found) >= count:
                    break
            await asyncio.to_thread(threading.Event().wait, 0.01)
    assert len(found) == count
    return found


async def written(rig: Rig, entries: int) -> None:
    assert rig.app.bookkeeping is not None
    for _ in range(500):
        if rig.app.bookkeeping.figures().written >= entries:
            return
        await asyncio.to_thread(threading.Event().wait, 0.01)
    raise AssertionError(rig.app.bookkeeping.figures())


async def test_feedback_is_kept_everywhere(tmp_path: Path) -> None:
    """With the decision, in the ledger with the names of the request, in metrics, and told to whoever listens."""
    async with Rig.of(None, None, ledger=ledger_at(tmp_path)) as rig:
        heard: list[Observation] = []
        rig.app.bus.subscribe(heard.append)
        id_ = await asked(rig, metadata={"task": "mail"})
        status, said = await judge(rig, id_, 0.75, also={"label": "too long"})
        expected = {"object": "feedback", "decision_id": id_, "upstream": "a", "score": 0.75, "label": "too long"}
        assert (status, said) == (200, {**expected, "is_new": True})
        [row] = await rows(tmp_path, 1)
        shown = await document(rig, f"/status/decisions/{id_}")
        async with rig.session.get(f"{rig.app.url}/metrics") as response:
            metrics = await response.text()
    kept = {"ledger_id": id_, "source": "feedback", "upstream": "a", "score": 0.75, "weight": 1.0, "label": "too long"}
    assert {name: row[name] for name in (*kept, "route", "task")} == {**kept, "route": "chat", "task": "mail"}
    assert row["ended_at_ms"] == pytest.approx(wall() * 1000, abs=60_000)
    assert shown["quality"] == [
        {"upstream": "a", "source": "feedback", "score": 0.75, "propensity": 1.0, "label": "too long"}
    ]
    assert 'streamroute_quality_score_sum{domain="",source="feedback",upstream="a"} 0.75' in metrics
    [observation] = [each for each in heard if isinstance(each, QualityObservation)]
    assert (observation.route, observation.attribution.task, observation.outcome.score) == ("chat", "mail", 0.75)


async def test_the_first_word_counts(tmp_path: Path) -> None:
    """Said again it changes nothing; another score is refused, with what was said."""
    async with Rig.of(None, ledger=ledger_at(tmp_path)) as rig:
        id_ = await asked(rig)
        assert (await judge(rig, id_, 1))[1]["is_new"] is True
        status, again = await judge(rig, id_, 1, path="/feedback")
        assert (status, again["is_new"], again["upstream"]) == (200, False, "a")
        status, refused = await judge(rig, id_, 0)
        assert (status, refused["error"]["code"]) == (409, "already_judged")
        assert "was given 1 already" in refused["error"]["message"]
        assert [row["score"] for row in await rows(tmp_path, 1)] == [1.0]


async def test_whoever_answered_is_judged() -> None:
    """After a failover that is the second upstream."""
    async with Rig.of(ErrorStatus(status=500), None) as rig:
        assert (await judge(rig, await asked(rig), 1))[1]["upstream"] == "b"


async def test_nothing_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown decision, a request that nobody answered, one that is under way."""
    async with Rig.of(ErrorStatus(status=500)) as rig:
        status, refused = await judge(rig, "dec_none", 1)
        assert (status, refused["error"]["code"], refused["error"]["param"]) == (
            404,
            "decision_not_found",
            "decision_id",
        )
        assert f"the latest {MAX_DECISIONS} are kept in memory, none across a restart" in refused["error"]["message"]
        status, refused = await judge(rig, await asked(rig), 1)
        assert (status, refused["error"]["code"]) == (409, "nothing_to_judge")
    monkeypatch.setattr(feedback, "WAIT_S", 0.01)
    async with Rig.of(NoResponse(), deadlines=QUICK) as rig, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(rig.ask(stream=True))
        await rig.providers[0].wait_until(lambda: rig.providers[0].in_flight == 1)
        [record] = rig.app.dispatcher.decisions.latest(1)
        status, refused = await judge(rig, record.id, 1)
        assert (status, refused["error"]["code"]) == (409, "request_under_way")
        await running


async def test_a_request_that_is_nearly_over_is_waited_for() -> None:
    """A client may have its answer before the calls that lost are over; two that ask meanwhile are both answered."""
    async with Rig.of(None, profile=Profile(ttft_s=0.3, tokens=4)) as rig, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(rig.ask(stream=True))
        await rig.providers[0].wait_until(lambda: rig.providers[0].in_flight == 1)
        [record] = rig.app.dispatcher.decisions.latest(1)
        assert record.outcome is None
        said = await asyncio.gather(judge(rig, record.id, 1), judge(rig, record.id, 1))
        assert sorted((status, document["is_new"]) for status, document in said) == [(200, False), (200, True)]
        assert (await running).status == 200


async def test_a_body_that_is_wrong() -> None:
    """A 400 in OpenAI's shape; another method is a 405."""
    async with Rig.of(None) as rig:
        status, refused = await say(rig, {"decision_id": await asked(rig), "score": 2})
        assert (status, refused["error"]["param"], refused["error"]["code"]) == (400, "score", "invalid_value")
        async with rig.session.get(f"{rig.app.url}/v1/feedback") as response:
            assert response.status == 405


async def test_a_key_judges_its_own_requests_only(tmp_path: Path) -> None:
    """Also when only the ledger remembers them; an admin's key judges any."""
    options = ledger_at(tmp_path)
    assert options.url is not None
    secrets = {name: new_secret() for name in ("mine", "other", "boss")}
    with closing(KeyStore(options.url)) as store:
        for name, secret in secrets.items():
            store.create(new_key(name, secret, now_ms=int(wall() * 1000), is_admin=name == "boss"))
    async with Rig.of(None, ledger=options) as rig:
        await rig.app.keys.refresh()
        mine = {"authorization": f"Bearer {secrets['mine']}"}
        ids = [await asked(rig, headers=mine) for _ in range(2)]
        assert (await judge(rig, ids[0], 1))[0] == 401
        status, refused = await judge(rig, ids[0], 1, key=secrets["other"])
        assert (status, refused["error"]["code"]) == (403, "permission_denied")
        assert (await judge(rig, ids[0], 1, key=secrets["mine"]))[0] == 200
        await written(rig, 5)
    async with Rig.of(None, ledger=options) as rig:
        await rig.app.keys.refresh()
        assert (await judge(rig, ids[1], 1, key=secrets["other"]))[0] == 403
        assert (await judge(rig, ids[1], 1, key=secrets["boss"]))[0] == 200
        assert {row["key"] for row in await rows(tmp_path, 2)} == {"mine"}


async def test_what_only_the_ledger_remembers(tmp_path: Path) -> None:
    """After a restart an answer can be judged, once; what was said before the restart counts, and what is kept for how
    long is told."""
    options = ledger_at(tmp_path, keep_days=30)
    async with Rig.of(None, ledger=options) as rig:
        ids = [await asked(rig, metadata={"task": "mail"}) for _ in range(2)]
        await judge(rig, ids[0], 0.5)
        await written(rig, 5)
    async with Rig.of(None, ledger=options) as rig:
        assert (await judge(rig, ids[0], 0.5))[1]["is_new"] is False
        assert (await judge(rig, ids[0], 0.6))[0] == 409
        assert (await judge(rig, ids[1], 1))[1]["is_new"] is True
        assert (await judge(rig, ids[1], 1))[1]["is_new"] is False, "also before it is in the ledger"
        assert (await judge(rig, ids[1], 0))[0] == 409
        found = {row["ledger_id"]: (row["score"], row["task"], row["route"]) for row in await rows(tmp_path, 2)}
        assert found == {ids[0]: (0.5, "mail", "chat"), ids[1]: (1.0, "mail", "chat")}
        status, refused = await judge(rig, "dec_none", 1)
        assert status == 404
        assert "requests in the ledger for 30 days (`ledger.keep_days`)" in refused["error"]["message"]


async def test_a_ledger_that_is_away(tmp_path: Path) -> None:
    """What is in memory can be judged; of what is not it is said that nobody can look."""
    async with Rig.of(None, ledger=ledger_at(tmp_path)) as rig:
        id_ = await asked(rig)
        await written(rig, 2)
        (tmp_path / "ledger.db").rename(tmp_path / "away.db")
        status, refused = await judge(rig, "dec_none", 1)
        assert (status, refused["error"]["code"]) == (503, "ledger_unavailable")
        assert (await judge(rig, id_, 1))[0] == 200


async def test_assessors_and_audits_are_outcomes_too(tmp_path: Path) -> None:
    """A held answer's verdict comes by itself; what others find out is published; each about whom it concerns."""
    async with Rig.of(None, None, tiers=("a", "b"), ledger=ledger_at(tmp_path)) as rig:
        id_ = await asked(rig)
        audit = QualityOutcome(
            decision_id=id_, upstream=UpstreamId("a"), score=0.5, source="audit", propensity=0.25, label=None
        )
        for _ in range(2):
            rig.app.bus.publish(audit)
        rig.app.bus.publish(QualityOutcome(decision_id="dec_gone", upstream=UpstreamId("a"), score=1.0, source="audit"))
        found = {(row["ledger_id"], row["source"]): row for row in await rows(tmp_path, 3)}
    verdict = found[id_, "assessor"]
    assert (verdict["upstream"], verdict["score"], verdict["route_tier"], verdict["weight"]) == ("a", 1.0, 0, 1.0)
    assert (found[id_, "audit"]["weight"], found[id_, "audit"]["route"]) == (4.0, "chat")
    assert found["dec_gone", "audit"]["route"] is None
