"""The simulated provider in Anthropic's format, asked by Anthropic's own client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from streamroute.clock import wall
from streamroute.simulation.fault import Fault
from streamroute.simulation.faults import Cut, ErrorStatus, RateLimit, StreamError
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from streamroute.wire.rate_limit import read_rate_limit

anthropic = pytest.importorskip("anthropic")

PROMPT = "Tell me about rivers."
ASKED: dict[str, Any] = {"model": "sim-1", "max_tokens": 8, "messages": [{"role": "user", "content": PROMPT}]}
LOOK = {
    "name": "look",
    "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
}
CACHING = Profile(cached_share=0.5, reasoning_tokens=7, api_key="secret-1")


@asynccontextmanager
async def asked(
    fault: Fault | None = None, profile: Profile | None = None
) -> AsyncIterator[tuple[Any, SimulationServer]]:
    """Start a provider, and a client of it that does not try again."""
    async with (
        SimulationServer(fault, profile=profile or Profile()) as server,
        anthropic.AsyncAnthropic(
            base_url=server.base_url.removesuffix("/v1"), api_key="secret-1", max_retries=0
        ) as client,
    ):
        yield client, server


async def test_a_whole_answer() -> None:
    async with asked(profile=CACHING) as (client, server):
        message = await client.messages.create(**ASKED)
        prompt = len(PROMPT) // 4
        assert [block.text for block in message.content] == [expected_text(PROMPT, 8)]
        assert (message.stop_reason, message.model) == ("end_turn", "sim-1")
        usage = message.usage
        assert (usage.input_tokens, usage.cache_read_input_tokens) == (prompt - prompt // 2, prompt // 2)
        assert (usage.output_tokens, usage.output_tokens_details.thinking_tokens) == (15, 7)
        [record] = server.log
        assert (record.wire_format, record.tokens_sent, record.ending) == ("anthropic_messages", 15, "answered")


async def test_a_stream_is_the_whole_answer() -> None:
    async with asked(profile=CACHING) as (client, server):
        whole = await client.messages.create(**ASKED)
        async with client.messages.stream(**ASKED) as stream:
            pieces = [text async for text in stream.text_stream]
            streamed = await stream.get_final_message()
        assert len(pieces) == 8
        assert streamed.content[0].text == whole.content[0].text
        assert (streamed.stop_reason, streamed.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)
        assert streamed.usage.cache_read_input_tokens == whole.usage.cache_read_input_tokens
        assert server.log[1].tokens_sent == 8


async def test_tools() -> None:
    """All of them, one after another, and the turn after that."""
    ask = {**ASKED, "tools": [LOOK, {**LOOK, "name": "see"}]}
    ask["messages"] = [{"role": "user", "content": "Call the tools."}]
    async with asked() as (client, _):
        whole = await client.messages.create(**ask)
        async with client.messages.stream(**ask) as stream:
            streamed = await stream.get_final_message()
        for message in (whole, streamed):
            assert [(block.type, block.name) for block in message.content] == [
                ("tool_use", "look"),
                ("tool_use", "see"),
            ]
            assert all(block.input["at"] for block in message.content)
            assert message.stop_reason == "tool_use"
        results = [{"type": "tool_result", "tool_use_id": block.id, "content": "x"} for block in whole.content]
        turns = [
            *ask["messages"],
            {"role": "assistant", "content": whole.content},
            {"role": "user", "content": results},
        ]
        after = await client.messages.create(**{**ask, "messages": turns})
        assert [block.type for block in after.content] == ["text"]
        forced = await client.messages.create(**{**ASKED, "tools": [LOOK], "tool_choice": {"type": "any"}})
        assert forced.content[0].name == "look"


async def test_schemas() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    async with asked() as (client, _):
        message = await client.messages.create(
            **ASKED, output_config={"format": {"type": "json_schema", "schema": schema}}
        )
        assert isinstance(orjson.loads(message.content[0].text)["a"], int)


async def test_a_prefill_is_carried_on() -> None:
    whole = expected_text(PROMPT, 8)
    begun = whole[: len(whole) // 2].rstrip()
    ask = {**ASKED, "max_tokens": 4, "messages": [*ASKED["messages"], {"role": "assistant", "content": begun}]}
    async with asked() as (client, _):
        message = await client.messages.create(**ask)
        assert (begun + message.content[0].text).startswith(whole[: len(begun) + 8])
        ask["messages"][-1] = {"role": "assistant", "content": begun + " "}
        with pytest.raises(anthropic.BadRequestError, match="trailing whitespace"):
            await client.messages.create(**ask)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]}, "tool_use_id"),
        ({"temperature": 1.5}, "temperature"),
        ({"n": 2}, "n: Extra inputs are not permitted"),
    ],
)
async def test_wrong_requests(change: dict[str, Any], complaint: str) -> None:
    """Refused as Anthropic refuses them."""
    async with SimulationServer() as server, aiohttp.ClientSession() as session:
        body = {name: value for name, value in {**ASKED, **change}.items() if value is not None}
        async with session.post(f"{server.base_url}/messages", json=body) as response:
            told = await response.json()
        assert response.status == 400
        assert (told["type"], told["error"]["type"]) == ("error", "invalid_request_error")
        assert complaint in told["error"]["message"]


async def test_keys() -> None:
    """In either header, of either API version."""
    async with SimulationServer(profile=CACHING) as server, aiohttp.ClientSession() as session:
        for headers, status in (
            ({"x-api-key": "secret-1"}, 200),
            ({"Authorization": "Bearer secret-1"}, 200),
            ({"x-api-key": "other"}, 401),
            ({}, 401),
        ):
            async with session.post(f"{server.base_url}/messages", json=ASKED, headers=headers) as response:
                assert response.status == status, headers


@pytest.mark.parametrize(
    ("fault", "error", "type_"),
    [
        (ErrorStatus(status=529), "OverloadedError", "overloaded_error"),
        (ErrorStatus(status=500), "InternalServerError", "api_error"),
        (ErrorStatus(status=400, code="context_length_exceeded"), "BadRequestError", "invalid_request_error"),
        (ErrorStatus(status=404, code="model_not_found"), "NotFoundError", "not_found_error"),
        (RateLimit(), "RateLimitError", "rate_limit_error"),
    ],
)
async def test_errors(fault: Fault, error: str, type_: str) -> None:
    """Their client raises what it raises for theirs."""
    async with asked(fault) as (client, _):
        with pytest.raises(anthropic.APIStatusError) as raised:
            await client.messages.create(**ASKED)
        assert type(raised.value).__name__ in {error, "InternalServerError"}
        assert raised.value.type == type_


async def test_an_error_within_a_stream() -> None:
    async with asked(StreamError(at_token=3, type="overloaded_error", message="Overloaded")) as (client, _):
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            async with client.messages.stream(**ASKED) as stream:
                await stream.get_final_message()


async def test_a_cut_stream_has_no_reason() -> None:
    async with asked(Cut(at_token=3, how="eof")) as (client, _):
        events = [event async for event in await client.messages.create(**ASKED, stream=True)]
        kinds = [event.type for event in events]
        assert kinds.count("content_block_delta") == 3
        assert "message_delta" not in kinds


async def test_rate_limits_are_told_in_their_headers() -> None:
    profile = Profile(limit_requests=5, limit_window_s=60.0)
    async with SimulationServer(profile=profile) as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.base_url}/messages", json=ASKED) as response:
            headers = response.headers
        assert not any(name.lower().startswith("x-ratelimit") for name in headers)
        report = read_rate_limit(headers, wall())
        assert report is not None
        assert (report.limit_requests, report.remaining_requests) == (5, 4)
        assert 0 < (report.reset_requests_s or 0) <= 60


async def test_both_formats_share_one_provider() -> None:
    """One log, one count of requests, the same words."""
    async with asked() as (client, server), aiohttp.ClientSession() as session:
        message = await client.messages.create(**ASKED)
        chat = {"model": "sim-1", "max_tokens": 8, "messages": ASKED["messages"]}
        async with session.post(f"{server.base_url}/chat/completions", json=chat) as response:
            told = await response.json()
        assert told["choices"][0]["message"]["content"] == message.content[0].text
        assert [record.wire_format for record in server.log] == ["anthropic_messages", "openai_chat"]
        models = await client.models.list()
        assert [model.id for model in models.data] == ["sim-1"]
