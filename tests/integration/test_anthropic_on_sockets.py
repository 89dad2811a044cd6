"""OpenAI's SDK, the sidecar, and a simulated Anthropic, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, RateLimit, Stall, StreamError
from streamroute.simulation.profile import Profile
from streamroute.simulation.script import Script
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.sdk_scene import PROMPT, Scene, open_scene, said
from tests.support.serve_process import provider_table

CONFIG = """
version = 1
[ledger]
url = "sqlite:///ledger.db"
[providers.anthropic]
kind = "anthropic"
base_url = "{url}"
api_key = "${{ANTHROPIC_API_KEY}}"
[upstreams.claude]
provider = "anthropic"
model = "claude-1"
capabilities = {{ continuation = "{continuation}" }}
price = {{ input_per_mtok = 1, output_per_mtok = 5, cached_input_per_mtok = 0.1 }}
{backup}
[routes.alone]
upstreams = ["claude"]
plan = "failover"
deadlines = {{ stall_s = 0.5, first_token_s = 1.0, headers_s = 1.0 }}
[routes.backed]
upstreams = ["claude", "backup"]
steering = "preferred"
plan = "failover"
deadlines = {{ stall_s = 0.5, first_token_s = 1.0, headers_s = 1.0 }}
[routes.backing]
upstreams = ["backup", "claude"]
steering = "preferred"
plan = "failover"
deadlines = {{ stall_s = 0.5, first_token_s = 1.0, headers_s = 1.0 }}
"""
TOKENS = 12
KEY = "canary-key-of-anthropic"
PROFILE = Profile(tpot_s=0.002, tokens=TOKENS, cached_share=0.5, reasoning_tokens=7, api_key=KEY)
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "required": ["at"],
        "properties": {"at": {"type": "string"}}}}}  # fmt: skip


CUT = Script.of(Cut(at_token=5), profile=Profile(tpot_s=0.002, says="Rhine, Rhone and a few more of them."))


@dataclass(slots=True)
class ClaudeScene(Scene):
    """Anthropic, and another provider behind it."""

    claude: SimulationServer
    backup: SimulationServer

    def play(self, fault: Fault | None, profile: Profile = PROFILE) -> None:
        """Let Anthropic behave like that."""
        self.claude.play(Script.of(fault, profile=profile))


Open = Callable[..., Any]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """Return what opens a scene; `continuation` is Claude's."""
    async with AsyncExitStack() as stack:

        async def run(continuation: str = "instructed", profile: Profile = PROFILE) -> ClaudeScene:
            claude = await stack.enter_async_context(SimulationServer(profile=profile))
            backup = await stack.enter_async_context(SimulationServer(profile=Profile(tpot_s=0.002, tokens=TOKENS)))
            table = provider_table("backup", backup.base_url)
            text = CONFIG.format(url=claude.base_url, backup=table, continuation=continuation)
            scene = await stack.enter_async_context(open_scene(text, tmp_path, {"ANTHROPIC_API_KEY": KEY}))
            return ClaudeScene(scene.app, scene.client, tmp_path, claude, backup)

        yield run


async def test_a_stream(opened: Open) -> None:
    """Text, usage and cost arrive; the key went in Anthropic's header, the model by the name that Anthropic knows."""
    scene = await opened()
    chunks = await scene.chunks(user="u1")
    assert said(chunks) == expected_text(PROMPT, TOKENS)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert {chunk.model for chunk in chunks} == {"claude-1"}
    prompt, usage = len(PROMPT) // 4, chunks[-1].usage
    assert (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens) == (prompt, prompt // 2)
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (TOKENS + 7, 7)
    cost = (prompt - prompt // 2) * 1e-6 + prompt // 2 * 1e-7 + (TOKENS + 7) * 5e-6
    assert usage.cost == pytest.approx(cost, rel=1e-12)
    [record] = scene.claude.log
    assert (record.wire_format, record.model, record.headers["anthropic-version"]) == (
        "anthropic_messages", "claude-1", "2023-06-01",
    )  # fmt: skip
    assert record.body is not None
    assert record.body["metadata"] == {"user_id": "u1"}
    assert not record.has_authorization


async def test_a_whole_answer(opened: Open) -> None:
    scene = await opened()
    answer = await scene.ask()
    assert answer.choices[0].message.content == expected_text(PROMPT, TOKENS)
    assert answer.object == "chat.completion"
    assert answer.usage.total_tokens == len(PROMPT) // 4 + TOKENS + 7


async def test_tools_with_the_sdks_own_accumulator(opened: Open) -> None:
    """A loop of two turns, streamed; the calls come whole, and Anthropic takes their results."""
    scene = await opened()
    messages: list[Any] = [{"role": "user", "content": "Call the tool."}]
    async with scene.client.chat.completions.stream(model="alone", messages=messages, tools=[LOOK]) as stream:  # type: ignore[list-item]
        first = await stream.get_final_completion()
    [call] = first.choices[0].message.tool_calls or []
    assert call.function.name == "look"
    assert orjson.loads(call.function.arguments)["at"]
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "seen"}]
    second = await scene.ask(messages=messages, tools=[LOOK])
    assert second.choices[0].finish_reason == "stop"
    assert scene.claude.log[-1].status == 200


@pytest.mark.parametrize(
    "fault",
    [
        ErrorStatus(status=529),
        RateLimit(),
        ErrorStatus(status=404, code="model_not_found"),
        StreamError(at_token=0, type="overloaded_error", message="Overloaded"),
        Cut(at_token=0, how="eof"),
        Stall(at_token=0),
    ],
    ids=lambda fault: fault.kind,
)
async def test_before_the_first_token_another_is_asked(opened: Open, fault: Fault) -> None:
    scene = await opened()
    scene.play(fault)
    chunks = await scene.chunks("backed")
    assert said(chunks) == expected_text(PROMPT, TOKENS)
    assert {chunk.model for chunk in chunks} == {"model-backup"}


@pytest.mark.parametrize(
    "fault", [Cut(at_token=5), Stall(at_token=5), StreamError(at_token=5)], ids=lambda one: one.kind
)
@pytest.mark.parametrize("route", ["backed", "backing"])
async def test_an_answer_is_carried_on_across_formats(opened: Open, route: str, fault: Fault) -> None:
    """From Anthropic to another and back: one answer, not a character too many."""
    scene = await opened()
    if route == "backed":
        scene.play(fault)
    else:
        scene.backup.play(fault)
    chunks = await scene.chunks(route)
    assert said(chunks) == expected_text(PROMPT, TOKENS)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


async def test_a_prefill_is_native(opened: Open) -> None:
    """Older models take a trailing turn of the assistant, and go on from there."""
    scene = await opened("prefill")
    scene.backup.play(CUT)
    scene.play(None, replace(PROFILE, says=", so that is it."))
    chunks = await scene.chunks("backing")
    assert said(chunks) == "Rhine, Rhone and a few, so that is it."
    [record] = scene.claude.log
    assert record.body is not None
    assert record.body["messages"][-1] == {  # type: ignore[index]
        "role": "assistant",
        "content": [{"type": "text", "text": "Rhine, Rhone and a few"}],
    }


async def test_no_prefill_ends_in_white_space(opened: Open) -> None:
    """Anthropic refuses such a one: it is asked by an instruction at once."""
    scene = await opened("prefill")
    scene.backup.play(Cut(at_token=5))
    chunks = await scene.chunks("backing")
    assert said(chunks) == expected_text(PROMPT, TOKENS)
    assert [record.status for record in scene.claude.log] == [200]


async def test_who_refuses_a_prefill_is_asked_otherwise(opened: Open) -> None:
    scene = await opened("prefill")
    scene.backup.play(CUT)
    scene.play(None, replace(PROFILE, continuation="rejects", says="Rhine, Rhone and a few, so that is it."))
    chunks = await scene.chunks("backing")
    assert said(chunks) == "Rhine, Rhone and a few, so that is it."
    assert [record.status for record in scene.claude.log] == [400, 200]


async def test_nobody_to_carry_it_on(opened: Open) -> None:
    """The SDK hears of it; a cut stream is not taken for an answer."""
    scene = await opened()
    scene.play(Cut(at_token=5))
    with pytest.raises(openai.APIError):
        await scene.chunks()


async def test_who_leaves_pays_for_the_true_prompt(opened: Open) -> None:
    """Anthropic counts it at the beginning, with what it had cached."""
    scene = await opened()
    scene.play(Stall(at_token=4))
    stream = await scene.ask(stream=True, messages=[{"role": "user", "content": "x" * 400}])
    tokens = 0
    async for chunk in stream:
        tokens += bool(chunk.choices and chunk.choices[0].delta.content)
        if tokens == 4:
            break
    await stream.close()
    await scene.claude.wait_until(lambda: scene.claude.in_flight == 0)
    async with asyncio.timeout(5):
        [row] = await scene.rows()
    assert (row.outcome, row.input_tokens, row.cached_input_tokens, row.output_tokens) == ("cancelled", 100, 50, 4)


async def test_the_clients_own_mistakes_are_told(opened: Open) -> None:
    """In Anthropic's words, in OpenAI's shape; its key is in none of them."""
    scene = await opened()
    scene.play(ErrorStatus(status=400, message=f"max_tokens: too large; {KEY}"))
    with pytest.raises(openai.BadRequestError) as raised:
        await scene.ask("backed")
    assert raised.value.type == "invalid_request_error"
    assert "max_tokens: too large" in str(raised.value)
    assert KEY not in str(raised.value)


async def test_what_cannot_be_said(opened: Open) -> None:
    """Another is asked; where there is none, the field is named before anybody is called."""
    scene = await opened()
    assert (await scene.ask("backed", n=2)).model == "model-backup"
    with pytest.raises(openai.BadRequestError, match="claude: it has no `n`") as raised:
        await scene.ask(n=2)
    assert raised.value.code == "unsupported_by_route"
    assert len(scene.claude.log) == 0


async def test_a_limit_that_is_used_up_is_heeded(opened: Open) -> None:
    """From `anthropic-ratelimit-*`: the next request goes elsewhere without a 429 first."""
    scene = await opened()
    scene.play(None, Profile(tokens=TOKENS, limit_requests=1, limit_window_s=60.0))
    assert (await scene.ask("backed")).model == "claude-1"
    assert (await scene.ask("backed")).model == "model-backup"
    assert [record.status for record in scene.claude.log] == [200]
