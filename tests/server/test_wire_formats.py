"""What clients see is the same whatever format a provider is spoken to in: tools, several choices, probabilities."""

from typing import Any

import aiohttp
import pytest

from streamroute.simulation.profile import Profile
from tests.support.rig import PROMPT, TOKENS, Rig

FOREIGN = ["anthropic_messages", "gemini"]
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("f", "g")]
PROFILE = Profile(tokens=TOKENS, cached_share=0.5, reasoning_tokens=7)


SCHEMA: dict[str, object] = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
    }
}
REFUSED: dict[str, list[dict[str, object]]] = {
    "gemini": [{"logit_bias": {"1": 2}}, {"parallel_tool_calls": False}, {"unheard_of": 1}],
    "anthropic_messages": [{"n": 2}, {"logprobs": True}, {"response_format": {"type": "json_object"}}],
}
"""What there is no room for."""


async def whole(rig: Rig, **fields: object) -> dict[str, Any]:
    body = {"model": "chat", "messages": [{"role": "user", "content": PROMPT}], **fields}
    async with rig.session.post(f"{rig.app.url}/v1/chat/completions", json=body) as response:
        assert response.status == 200, await response.text()
        found = await response.json()
    assert isinstance(found, dict)
    return found


def essence(answer: dict[str, Any]) -> object:
    """What of an answer is the provider's, and not the format's."""
    told = []
    for choice in answer["choices"]:
        message = choice["message"]
        calls = [(each["function"]["name"], each["function"]["arguments"]) for each in message.get("tool_calls", ())]
        listed = (choice["logprobs"] or {}).get("content") or ()
        probable = [(each["token"], each["logprob"], len(each["top_logprobs"])) for each in listed]
        told.append((choice["index"], message["content"], calls, probable, choice["finish_reason"]))
    usage = answer["usage"]
    counts = [usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]]
    counts.append(usage["prompt_tokens_details"]["cached_tokens"])
    counts.append(usage["completion_tokens_details"]["reasoning_tokens"])
    return told, counts


CASES: list[dict[str, object]] = [
    {},
    {"n": 3},
    {"max_tokens": 5},
    {"stop": ["the"]},
    {"logprobs": True, "top_logprobs": 2},
    {"tools": TOOLS, "tool_choice": "required"},
    {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "g"}}},
    {"tools": TOOLS, "tool_choice": "none"},
    {"response_format": {"type": "json_object"}},
    SCHEMA,
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}]},
]


def can_be_said(wire_format: str, fields: dict[str, object]) -> bool:
    return fields == SCHEMA or not any(fields.keys() >= refused.keys() for refused in REFUSED[wire_format])


@pytest.mark.parametrize(
    ("wire_format", "fields"),
    [
        pytest.param(name, fields, id=f"{name}-{'-'.join(fields) or 'plain'}")
        for name in FOREIGN
        for fields in CASES
        if can_be_said(name, fields)
    ],
)
async def test_answers_say_the_same(wire_format: Any, fields: dict[str, Any]) -> None:
    async with (
        Rig.of(None, profile=PROFILE) as ours,
        Rig.of(None, profile=PROFILE, wire_formats=[wire_format]) as foreign,
    ):
        assert essence(await whole(foreign, **fields)) == essence(await whole(ours, **fields))


@pytest.mark.parametrize(
    ("wire_format", "fields"), [(name, fields) for name in FOREIGN for fields in REFUSED[name]], ids=str
)
async def test_what_a_format_has_no_room_for_goes_to_one_that_has(wire_format: Any, fields: dict[str, Any]) -> None:
    """In the same route; alone it is the client's error, and nobody is asked."""
    async with Rig.of(None, None, wire_formats=[wire_format, "openai_chat"]) as rig:
        reply = await rig.ask(stream=False, **fields)
        assert (reply.status, rig.requests) == (200, [0, 1])
    async with Rig.of(None, wire_formats=[wire_format]) as rig:
        reply = await rig.ask(stream=True, **fields)
        assert reply.error is not None
        assert (reply.status, reply.error["code"], rig.requests) == (400, "unsupported_by_route", [0])
        assert next(iter(fields)) in str(reply.error["message"])


@pytest.mark.parametrize("wire_format", FOREIGN)
async def test_a_tool_loop(wire_format: Any) -> None:
    """The second turn, with calls and their results, is one that the strict provider takes."""
    async with Rig.of(None, profile=PROFILE, wire_formats=[wire_format]) as rig:
        asked = {"role": "user", "content": "Now call the tools."}
        first = await whole(rig, messages=[asked], tools=TOOLS)
        message = first["choices"][0]["message"]
        assert [each["function"]["name"] for each in message["tool_calls"]] == ["f", "g"]
        results = [{"role": "tool", "tool_call_id": each["id"], "content": "7"} for each in message["tool_calls"]]
        second = await whole(rig, messages=[asked, message, *reversed(results)], tools=TOOLS)
        assert second["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("wire_format", FOREIGN)
async def test_streams_tell_usage_to_those_who_ask(wire_format: Any) -> None:
    async with Rig.of(None, profile=PROFILE, wire_formats=[wire_format]) as rig:
        silent = await rig.ask(stream=True)
        telling = await rig.ask(stream=True, stream_options={"include_usage": True})
        for reply in (silent, telling):
            assert (reply.text, reply.error, reply.is_done) == (rig.expected_text, None, True)
        assert not any("usage" in event for event in silent.events)
        assert [event["usage"]["completion_tokens"] for event in telling.events if event.get("usage")] == [TOKENS + 7]  # type: ignore[index]


@pytest.mark.parametrize("wire_format", FOREIGN)
async def test_the_models_list_is_asked_for_where_the_format_has_it(wire_format: Any) -> None:
    """It is what probes ask for."""
    async with Rig.of(None, profile=PROFILE, wire_formats=[wire_format]) as rig:
        provider = next(iter(rig.app.dispatcher.directory.providers.values()))
        request = provider.models_request()
        async with aiohttp.ClientSession() as session, session.get(request.url, headers=request.headers) as response:
            assert response.status == 200
