"""Why a request went where it went: kept decisions, and the dry run."""

from typing import Any

import orjson

from streamroute.core.execution.hedge_delay import MIN_SAMPLES, MIN_TTFT_S
from streamroute.core.upstream import Capabilities, Deadlines
from streamroute.server.decisions import DECISIONS_SHOWN
from streamroute.server.options import ServerOptions
from streamroute.simulation.faults import ErrorStatus
from streamroute.simulation.profile import Profile
from tests.support.rig import PROMPT, Rig


async def get(rig: Rig, path: str, key: str | None = None) -> tuple[int, dict[str, Any], str]:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    async with rig.session.get(rig.app.url + path, headers=headers) as response:
        raw = await response.text()
        return response.status, orjson.loads(raw), raw


async def dry_run(rig: Rig, value: str = "1", **more: object) -> tuple[int, dict[str, Any]]:
    body = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}], **more}
    url = f"{rig.app.url}/v1/chat/completions"
    async with rig.session.post(url, json=body, headers={"x-streamroute-explain": value}) as response:
        return response.status, orjson.loads(await response.read())


async def test_every_reply_names_its_decision() -> None:
    """Streamed, whole or failed: the id leads to what was decided and to what came of it."""
    async with Rig.of(ErrorStatus(status=500), None) as rig:
        for stream in (True, False):
            reply = await rig.ask(stream=stream)
            status, document, raw = await get(rig, f"/status/decisions/{reply.headers['x-streamroute-decision-id']}")
            assert (status, document["route"], document["id"]) == (
                200,
                "chat",
                reply.headers["x-streamroute-decision-id"],
            )
            attempts = document["attempts"]
            assert isinstance(attempts, list)
            assert [(each["upstream"], each["outcome"], each["failure"]) for each in attempts] == [
                ("a", "failed", "server_error"),
                ("b", "succeeded", None),
            ]
            assert PROMPT not in raw
            assert rig.expected_text not in raw
    async with Rig.of(ErrorStatus(status=500)) as rig:
        reply = await rig.ask(stream=True)
        assert reply.status >= 500
        assert (await get(rig, f"/status/decisions/{reply.headers['x-streamroute-decision-id']}"))[0] == 200


async def test_a_refusal_names_its_decision() -> None:
    """The id leads to the table of bids: why everybody fell short. So does the dry run."""
    async with Rig.of(None, None) as rig:
        needs = {"min_quality": 0.9}
        for stream in (True, False):
            reply = await rig.ask(stream=stream, streamroute=needs)
            assert (reply.status, reply.error and reply.error["code"]) == (400, "requirements_not_met")
            id_ = reply.headers["x-streamroute-decision-id"]
            status, document, raw = await get(rig, f"/status/decisions/{id_}")
            assert (status, document["outcome"], document["answered_by"]) == (200, "refused", None)
            assert document["refusal"] == (reply.error or {})["message"]
            shortfalls = {each["upstream"]: each["shortfalls"] for each in document["matched"]["bids"]}
            assert shortfalls == {name: ["its quality is not known, and 0.9 is required"] for name in "ab"}
            assert PROMPT not in raw
        counted = 'streamroute_requirements_not_met_total{requirement="min_quality",route="chat"} 2.0'
        async with rig.session.get(f"{rig.app.url}/metrics") as response:
            assert counted in await response.text()
        _, document, _ = await get(rig, "/status/decisions")
        newest = document["decisions"][0]
        assert (newest["id"], newest["outcome"]) == (id_, "refused")
        status, document = await dry_run(rig, streamroute=needs)
        assert (status, document["candidates"]) == (200, [])
        assert document["refusal"].startswith("No upstream of 'chat' meets what this request requires.")
        assert [each["upstream"] for each in document["matched"]["bids"]] == ["a", "b"]
        judged = {"decision_id": id_, "score": 1}
        async with rig.session.post(f"{rig.app.url}/v1/feedback", json=judged) as response:
            assert (await response.json())["error"]["code"] == "nothing_to_judge"


async def test_what_nobody_can_do_names_its_decision() -> None:
    """Where nothing is required too; a name that does not exist is no decision."""
    async with Rig.of(None, capabilities=[Capabilities(tools=False)]) as rig:
        reply = await rig.ask(stream=True, tools=[{"type": "function", "function": {"name": "f"}}])
        assert (reply.status, reply.error and reply.error["code"]) == (400, "unsupported_by_route")
        _, document, _ = await get(rig, f"/status/decisions/{reply.headers['x-streamroute-decision-id']}")
        assert document["rejected"] == [{"upstream": "a", "reason": "it has no tools"}]
        assert "x-streamroute-decision-id" not in (await rig.ask(stream=True, model="other")).headers


async def test_a_prompt_that_is_too_long_is_not_sent_where_it_is_refused() -> None:
    """Whoever has room is asked at once, on a route that matches nothing; where nobody has, the provider says so."""
    messages = [{"role": "user", "content": PROMPT * 100}]
    small, large = Capabilities(context_tokens=200), Capabilities(context_tokens=200_000)
    async with Rig.of(None, None, capabilities=[small, large]) as rig:
        reply = await rig.ask(stream=True, messages=messages)
        assert (reply.status, rig.requests) == (200, [0, 1])
        _, document, _ = await get(rig, f"/status/decisions/{reply.headers['x-streamroute-decision-id']}")
        reason = f"the prompt has at least {len(PROMPT) * 100 // 8} tokens, and it takes 200"
        assert document["rejected"] == [{"upstream": "a", "reason": reason}]
        assert document["matched"] is None
    async with Rig.of(None, capabilities=[small]) as rig:
        assert (await rig.ask(stream=True, messages=messages)).status == 200
        assert rig.requests == [1]


async def test_the_client_does_not_choose_the_id() -> None:
    """Two requests with the same `x-request-id` are two decisions."""
    async with Rig.of(None) as rig:
        replies = [await rig.ask(stream=True, headers={"x-request-id": "same"}) for _ in range(2)]
        ids = {reply.headers["x-streamroute-decision-id"] for reply in replies}
        assert len(ids) == 2
        assert "same" not in ids


async def test_the_latest_decisions() -> None:
    """Newest first, at most fifty, a line each."""
    async with Rig.of(None, None) as rig:
        replies = [await rig.ask(stream=False) for _ in range(DECISIONS_SHOWN + 2)]
        _, document, _ = await get(rig, "/status/decisions")
        shown = document["decisions"]
        assert isinstance(shown, list)
        assert document["kept"] == DECISIONS_SHOWN + 2
        ids = [reply.headers["x-streamroute-decision-id"] for reply in replies]
        assert [each["id"] for each in shown] == ids[:1:-1]
        assert shown[0]["summary"].startswith("chat: ")


async def test_an_unknown_decision() -> None:
    """One that never was, or is forgotten, is a 404 in OpenAI's shape."""
    async with Rig.of(None) as rig:
        status, document, _ = await get(rig, "/status/decisions/dec_none")
        error = document["error"]
        assert isinstance(error, dict)
        assert (status, error["code"]) == (404, "decision_not_found")


async def test_a_dry_run_calls_nobody() -> None:
    """It says what would be decided, leaves no trace, and refuses what the request itself would be refused for."""
    async with Rig.of(None, None) as rig:
        for stream in (True, False):
            status, document = await dry_run(rig, stream=stream)
            candidates = document["candidates"]
            assert isinstance(candidates, list)
            assert status == 200
            assert document["is_dry_run"] is True
            assert [each["upstream"] for each in candidates] == ["a", "b"]
        assert rig.requests == [0, 0]
        assert (await get(rig, "/status/decisions"))[1]["kept"] == 0
        assert (await dry_run(rig, model="chta"))[0] == 404
        assert (await dry_run(rig, messages=[]))[0] == 400
        assert (await dry_run(rig, value="perhaps"))[0] == 400
        assert rig.requests == [0, 0]
        assert (await dry_run(rig, value="0"))[1]["object"] == "chat.completion"


async def test_when_a_hedge_comes_and_what_is_too_late() -> None:
    """Both follow from what is known of the upstream, capped by the route: the dry run foresees them, the record of a
    request has those that were in force."""
    async with Rig.of(None, None, deadlines=Deadlines(), profile=Profile(ttft_s=0.01, tokens=2)) as rig:
        _, cold = await dry_run(rig, stream=True)
        for _ in range(MIN_SAMPLES + 2):
            reply = await rig.ask(stream=True)
        _, warm = await dry_run(rig, stream=True)
        _, record, _ = await get(rig, f"/status/decisions/{reply.headers['x-streamroute-decision-id']}")
    first, last = warm["candidates"]
    assert cold["candidates"][0]["deadlines"]["first_token_s"] == warm["deadlines"]["first_token_s"] == 10.0
    assert first["deadlines"] == {"first_token_s": MIN_TTFT_S, "stall_s": 5.0}, "nothing is known of its gaps"
    assert last["deadlines"]["first_token_s"] == 10.0, "there is nobody after it"
    assert (cold["hedge_after_s"] > 0, record["hedge_after_s"] is None or record["hedge_after_s"] > 0) == (True, True)
    (made,) = [each for each in record["attempts"] if each["upstream"] == "a"]
    assert made["deadlines"] == {"first_token_s": MIN_TTFT_S, "stall_s": 5.0}


async def test_calls_that_were_not_to_be_made() -> None:
    """A rival that no budget was left for is told, with the reason."""
    async with Rig.of(None, None, plan="race") as rig:
        for _ in range(3):
            reply = await rig.ask(stream=True)
        _, record, _ = await get(rig, f"/status/decisions/{reply.headers['x-streamroute-decision-id']}")
    refused = [each for each in record["attempts"] if each["outcome"] == "not_made"]
    assert [(each["upstream"], each["cause"]) for each in refused] == [("b", "race")]
    assert "budget" in refused[0]["reason"]


async def test_keys_are_asked_for() -> None:
    """What is true of `/status` is true of what is below it, and of a dry run."""
    async with Rig.of(None, server=ServerOptions(api_keys=("right",))) as rig:
        for path in ("/status/decisions", "/status/decisions/dec_none"):
            assert (await get(rig, path))[0] == 401
            assert (await get(rig, path, "wrong"))[0] == 401
        assert (await get(rig, "/status/decisions", "right"))[0] == 200
        assert (await dry_run(rig))[0] == 401
