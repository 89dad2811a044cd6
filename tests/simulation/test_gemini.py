"""A simulated provider says the same in every wire format, and is as strict as the real one."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from streamroute.simulation.faults import EmptyAnswer
from streamroute.simulation.profile import Profile
from streamroute.simulation.server import SimulationServer
from streamroute.simulation.text import expected_text
from tests.support.chat_streams import raw_events

PROMPT = "Tell me about rivers."
TURN = {"role": "user", "parts": [{"text": PROMPT}]}
PROFILE = Profile(tokens=6, cached_share=0.5, reasoning_tokens=7)


@pytest.fixture
async def server() -> AsyncIterator[SimulationServer]:
    async with SimulationServer(profile=PROFILE) as running:
        yield running


async def gemini(server: SimulationServer, method: str = "generateContent", **body: object) -> tuple[int, Any]:
    """Ask as Google's clients do; return the status, and the answer or the events."""
    url = f"{server.base_url}/models/gemini-x:{method}"
    async with aiohttp.ClientSession() as session, session.post(url, json={"contents": [TURN], **body}) as response:
        data = await response.read()
    if response.content_type != "text/event-stream":
        return response.status, orjson.loads(data)
    return response.status, [orjson.loads(event.removeprefix(b"data: ")) for event in raw_events(data)]


def said(*answers: Any) -> str:
    parts = [part for each in answers for candidate in each["candidates"] for part in candidate["content"]["parts"]]
    return "".join(part.get("text", "") for part in parts)


async def test_gemini_says_what_openai_says(server: SimulationServer) -> None:
    """The same text and the same counts, whole and streamed, with Google's fields."""
    _, whole = await gemini(server)
    _, events = await gemini(server, "streamGenerateContent?alt=sse")
    assert said(whole) == said(*events) == expected_text(PROMPT, 6)
    assert whole["usageMetadata"] == events[-1]["usageMetadata"]
    counted = whole["usageMetadata"]
    prompt = counted["promptTokenCount"]
    assert counted == {
        "promptTokenCount": prompt,
        "candidatesTokenCount": 6,
        "thoughtsTokenCount": 7,
        "cachedContentTokenCount": prompt // 2,
        "totalTokenCount": prompt + 13,
    }
    assert [each["candidates"][0].get("finishReason") for each in events] == [None] * 7 + ["STOP"]
    spoken = [each["usageMetadata"].get("candidatesTokenCount", 0) for each in events]
    assert spoken == [0, 1, 2, 3, 4, 5, 6, 6]


async def test_gemini_calls_tools(server: SimulationServer) -> None:
    tools = [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}]
    calling = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}
    _, events = await gemini(server, "streamGenerateContent?alt=sse", tools=tools, toolConfig=calling)
    parts = [part for each in events for part in each["candidates"][0]["content"]["parts"]]
    assert [part["functionCall"]["name"] for part in parts if "functionCall" in part] == ["f"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"temperature": 1}, 'Unknown name "temperature"'),
        ({"generationConfig": {"max_tokens": 1}}, "at 'generation_config'"),
        ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ({"contents": [{"role": "user", "parts": [{"words": "x"}]}]}, 'Unknown name "words"'),
        ({"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}, "without function_declarations"),
        (
            {"contents": [TURN, {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}, TURN]},
            "number of function response parts",
        ),
    ],
)
async def test_gemini_is_as_strict_as_google(server: SimulationServer, body: dict[str, object], words: str) -> None:
    """What our translation gets wrong must not pass here."""
    status, answer = await gemini(server, **body)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in answer["error"]["message"]


@pytest.mark.parametrize("shape", ["no_content", "no_choices", "no_events"])
async def test_empty_answers_have_the_dialects_shape(server: SimulationServer, shape: Any) -> None:
    server.play(EmptyAnswer(shape=shape))
    _, events = await gemini(server, "streamGenerateContent?alt=sse")
    assert all("choices" not in each for each in events)
    assert shape == "no_events" or said(*events) == ""


async def test_keys_come_in_the_dialects_header() -> None:
    async with SimulationServer(profile=Profile(api_key="secret")) as server:
        url = f"{server.base_url}/models/m:generateContent"
        async with aiohttp.ClientSession() as session:
            for headers, status in (({"x-goog-api-key": "secret"}, 200), ({"x-goog-api-key": "no"}, 401), ({}, 401)):
                async with session.post(url, json={"contents": [TURN]}, headers=headers) as response:
                    assert response.status == status
