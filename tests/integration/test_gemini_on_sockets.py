"""OpenAI's SDK, the sidecar, and a provider that sends Gemini's own bytes, on real sockets."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.canned import Canned, CannedServer
from tests.support.gemini_streams import call, candidate, piece, stream, text
from tests.support.sdk_scene import PROMPT, Scene, open_scene, said
from tests.support.serve_process import provider_table

CONFIG = """
version = 1
[ledger]
url = "sqlite:///ledger.db"
[providers.google]
kind = "gemini_native"
base_url = "{url}/v1beta"
api_key = "${{GEMINI_API_KEY}}"
[upstreams.flash]
provider = "google"
model = "gemini-3-flash-preview"
price = {{ input_per_mtok = 0.5, output_per_mtok = 3, cached_input_per_mtok = 0.05, reasoning_per_mtok = 4 }}
{backup}
[routes.alone]
upstreams = ["flash"]
plan = "failover"
deadlines = {{ stall_s = 0.5, first_token_s = 1.0, headers_s = 1.0 }}
[routes.backed]
upstreams = ["flash", "backup"]
steering = "preferred"
plan = "failover"
deadlines = {{ stall_s = 0.5, first_token_s = 1.0, headers_s = 1.0 }}
"""
TOKENS = 12
COUNTED = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 40,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 150,
}
COST_USD = 60 * 0.5e-6 + 40 * 0.05e-6 + 20 * 3e-6 + 30 * 4e-6
KEY = "canary-key-of-google"


def streamed(*pieces: object, ending: str = "eof", size: int = 7) -> Canned:
    """A stream in blocks of a few bytes."""
    data = stream(list(pieces))
    blocks = [data[at : at + size] for at in range(0, len(data), size)]
    return Canned(blocks=blocks, content_type="text/event-stream", ending=ending)


def whole(payload: object, status: int = 200) -> Canned:
    return Canned(blocks=[orjson.dumps(payload)], status=status)


def refusal(code: int, status: str, **more: object) -> Canned:
    return whole({"error": {"code": code, "status": status, "message": "No.", **more}}, code)


@dataclass(slots=True)
class GoogleScene(Scene):
    """Google, and another provider behind it."""

    google: CannedServer
    backup: SimulationServer


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[GoogleScene]:
    async with CannedServer() as google, SimulationServer(profile=Profile(tpot_s=0.001, tokens=TOKENS)) as backup:
        table = provider_table("backup", backup.base_url, more="quirks = { takes_google_notes = false }")
        text = CONFIG.format(url=google.url, backup=table)
        async with open_scene(text, tmp_path, {"GEMINI_API_KEY": KEY}) as scene:
            yield GoogleScene(scene.app, scene.client, tmp_path, google, backup)


async def test_a_stream(scene: GoogleScene) -> None:
    """Text, thoughts and usage arrive; the ledger has the provider's count, and its price to the last digit."""
    scene.google.give(
        streamed(
            piece(candidate({"text": "Hm.", "thought": True})),
            text("Rhine, "),
            text("Rhône", usage={"promptTokenCount": 100}),
            text(" and Reuß.", finish="STOP", usage=COUNTED),
        )
    )
    chunks = await scene.chunks()
    assert said(chunks) == "Rhine, Rhône and Reuß."
    thoughts = [getattr(chunk.choices[0].delta, "reasoning_content", None) for chunk in chunks if chunk.choices]
    assert [each for each in thoughts if each] == ["Hm."]
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [150]
    assert chunks[-1].usage.model_extra["cost"] == pytest.approx(COST_USD)
    asked = scene.google.asked[0]
    assert asked.path == "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse"
    assert asked.headers["x-goog-api-key"] == KEY
    assert "authorization" not in asked.headers
    assert asked.body == {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
    row = (await scene.rows())[0]
    counts = (row.input_tokens, row.cached_input_tokens, row.output_tokens, row.reasoning_tokens, row.is_counted)
    assert counts == (100, 40, 50, 30, True)
    assert row.cost == round(COST_USD * 1e12)


async def test_a_whole_answer(scene: GoogleScene) -> None:
    scene.google.give(whole(text("Rhine", finish="STOP", usage=COUNTED)))
    answer = await scene.ask()
    assert answer.choices[0].message.content == "Rhine"
    assert answer.usage.completion_tokens_details.reasoning_tokens == 30
    assert answer.usage.model_extra["cost"] == pytest.approx(COST_USD)
    assert scene.google.asked[0].path.endswith(":generateContent")
    assert (await scene.rows())[0].cost == round(COST_USD * 1e12)


async def test_calls_and_their_signatures_over_two_turns(scene: GoogleScene) -> None:
    """What the model has thought before its call comes back to it, by way of a client that keeps what it got."""
    signed = {**call("rivers", {"of": "Europe"}), "thoughtSignature": "c2lnbmF0dXJl"}
    scene.google.give(streamed(piece(candidate(signed), usage=COUNTED), text("", finish="STOP", usage=COUNTED)))
    tools: list[Any] = [{"type": "function", "function": {"name": "rivers", "parameters": {"type": "object"}}}]
    chunks = await scene.chunks(tools=tools)
    made = [each for chunk in chunks for choice in chunk.choices for each in choice.delta.tool_calls or ()]
    assert [each.function.name for each in made] == ["rivers"]
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "tool_calls"
    kept = {key: value for key, value in made[0].model_dump().items() if key != "index"}
    result = {"role": "tool", "tool_call_id": kept["id"], "content": '["Rhine"]'}
    messages = [{"role": "user", "content": PROMPT}, {"role": "assistant", "tool_calls": [kept]}, result]
    scene.google.give(refusal(503, "UNAVAILABLE"), whole(text("Rhine", finish="STOP", usage=COUNTED)))
    await scene.ask("backed", tools=tools, messages=messages)
    body = scene.backup.log[-1].body
    assert body is not None
    assert orjson.dumps(body["messages"]).count(b"c2lnbmF0dXJl") == 0, "others refuse what they do not know"
    await scene.ask(tools=tools, messages=messages)
    turns: Any = scene.google.asked[-1].body["contents"]
    assert turns[1]["parts"] == [
        {
            "functionCall": {"name": "rivers", "args": {"of": "Europe"}, "id": kept["id"]},
            "thoughtSignature": "c2lnbmF0dXJl",
        }
    ]
    assert turns[2]["parts"][0]["functionResponse"] == {
        "name": "rivers",
        "id": kept["id"],
        "response": {"output": '["Rhine"]'},
    }


@pytest.mark.parametrize(
    "response",
    [
        refusal(503, "UNAVAILABLE"),
        refusal(429, "RESOURCE_EXHAUSTED", details=[{"retryDelay": "30s"}]),
        refusal(400, "INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]),
        streamed(text(""), {"error": {"code": 500, "status": "INTERNAL", "message": "No."}}),
        streamed(text("", finish="MALFORMED_FUNCTION_CALL")),
        streamed(text("", finish="STOP")),
        streamed(piece(candidate(call("rivers", {})))),
        streamed(ending="reset"),
        streamed(ending="hang"),
    ],
    ids=["503", "429", "key", "error", "malformed call", "empty", "half a call", "reset", "hang"],
)
async def test_before_the_first_token_another_one_answers(scene: GoogleScene, response: Canned) -> None:
    scene.google.give(response)
    chunks = await scene.chunks("backed")
    assert said(chunks) == expected_text(PROMPT, TOKENS)
    assert len(scene.google.asked) == 1


async def test_google_is_left_alone_for_as_long_as_it_asks(scene: GoogleScene) -> None:
    """It says so in the body, not in a header; clients hear it in the header that they know."""
    scene.google.give(refusal(429, "RESOURCE_EXHAUSTED", details=[{"retryDelay": "30.5s"}]))
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as caught:
            await scene.ask()
        assert 20 <= float(caught.value.response.headers["retry-after"]) <= 40, "rounded, and spread"
    assert len(scene.google.asked) == 1


@pytest.mark.parametrize("ending", ["eof", "reset", "hang"])
async def test_what_breaks_off_is_carried_on(scene: GoogleScene, ending: str) -> None:
    """By another provider, in another format: the client sees one answer."""
    begun = expected_text(PROMPT, TOKENS)[:20]
    signed = {"text": begun, "thoughtSignature": "c2ln"}
    scene.google.give(streamed(piece(candidate(signed), usage={"promptTokenCount": 9}), ending=ending))
    chunks = await scene.chunks("backed")
    assert said(chunks) == expected_text(PROMPT, TOKENS)
    assert len(scene.google.asked) == 1


async def test_alone_what_breaks_off_is_never_complete(scene: GoogleScene) -> None:
    scene.google.give(streamed(text("Rhine, ")))
    with pytest.raises(openai.APIError):
        await scene.chunks()
    rows = await scene.rows()
    assert {row.outcome for row in rows} == {"failed"}


async def test_what_gemini_cannot_be_told_goes_to_who_can(scene: GoogleScene) -> None:
    scene.google.give(whole(text("Rhine", finish="STOP")))
    answer = await scene.ask("backed", logit_bias={"1": 5})
    assert answer.choices[0].message.content == expected_text(PROMPT, TOKENS)
    with pytest.raises(openai.BadRequestError, match="it has no room for this value of `logit_bias`"):
        await scene.ask("alone", logit_bias={"1": 5})
    assert not scene.google.asked


async def test_a_clients_error_comes_back_in_its_own_format(scene: GoogleScene) -> None:
    scene.google.give(refusal(400, "INVALID_ARGUMENT"))
    with pytest.raises(openai.BadRequestError) as caught:
        await scene.ask("backed", temperature=9)
    assert caught.value.body == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": None,
        "code": "INVALID_ARGUMENT",
    }


async def test_a_client_that_leaves_pays_for_what_google_bills(scene: GoogleScene) -> None:
    """It bills on: what it has counted is the least."""
    scene.google.give(streamed(text("Rhine, ", usage={**COUNTED, "candidatesTokenCount": 900}), ending="hang"))
    async with await scene.ask(stream=True) as found:
        async for chunk in found:
            if chunk.choices[0].delta.content:
                break
    row = (await scene.rows())[0]
    assert (row.outcome, row.input_tokens, row.output_tokens, row.is_counted) == ("cancelled", 100, 930, True)


async def test_secrets_that_google_repeats_stay_here(scene: GoogleScene) -> None:
    scene.google.give(whole({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": f"Bad {KEY}"}}, 400))
    with pytest.raises(openai.BadRequestError) as caught:
        await scene.ask()
    assert KEY not in str(caught.value)
